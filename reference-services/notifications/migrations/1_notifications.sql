CREATE TABLE notifications (
    notification_id UUID PRIMARY KEY,
    organization_id UUID NOT NULL,
    order_id UUID NOT NULL,
    customer_id UUID NOT NULL,
    outcome TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    channel TEXT NOT NULL,
    notified_at TIMESTAMPTZ NOT NULL,
    UNIQUE (order_id, outcome, attempt)
);
CREATE INDEX notifications_by_time ON notifications (organization_id, notified_at, notification_id);
