//! Publish and subscribe with one strict delivery contract over memory, SQLite, Kafka and RabbitMQ.
