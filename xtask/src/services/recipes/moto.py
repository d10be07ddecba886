"""Python runs this before moto's server (as sitecustomize), and mends what makes moto 5.2.5 lose or mix up messages.

moto answers every request in a thread, and its queues are plain lists:

- `Queue.delete_message` copies the list and puts the copy in its place: what was sent in between is lost.
- `SNSBackend.publish_batch` drops the exceptions of such races, and with them the entries from its answer.
- `SQSBackend.receive_message` looks once which message groups are in flight, before it waits: of two requests that
  wait, both are given messages of one group. While a group is in flight it does not wait but spins.
- Every message that is sent has the whole queue counted several times, by whoever asks for another of its attributes.
- A binary attribute of SNS reaches the queue as base64 text, and receiving it fails.

So: one request at a time; who waits lets others in, and looks again when something of the queue has changed, or may have
become visible; nobody counts for a message that is sent; the attribute is decoded.
"""

import base64
import collections
import io
import threading
import time

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sqs.models import Queue, SQSBackend

# Nobody tells when a message becomes visible again.
LOOK = 0.25

turn = threading.Lock()
changed = collections.defaultdict(lambda: threading.Condition(turn))
dispatch = DomainDispatcherApplication.__call__
receive_message = SQSBackend.receive_message
send_message = SQSBackend.send_message


def one_at_a_time(self, environ, start_response):
    # Read before the turn: a client that stops in the middle keeps nobody else waiting.
    length = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
    with turn:
        return dispatch(self, environ, start_response)


def receive(self, queue_name, count, wait_seconds_timeout, *more, **named):
    end = time.monotonic() + wait_seconds_timeout
    while True:
        messages = receive_message(self, queue_name, count, 0, *more, **named)
        left = end - time.monotonic()
        if messages or left <= 0:
            return messages
        changed[queue_name].wait(min(left, LOOK))


def send(self, queue_name, message_body, message_attributes=None, *more, **named):
    for attribute in (message_attributes or {}).values():
        if isinstance(attribute.get("BinaryValue"), str):
            attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"])
    Queue.sending = True
    try:
        return send_message(self, queue_name, message_body, message_attributes, *more, **named)
    finally:
        Queue.sending = False


def uncounted(name):
    count = getattr(Queue, name).fget
    setattr(Queue, name, property(lambda queue: 0 if Queue.sending else count(queue)))


def telling(method):
    def change(self, queue_name, *more, **named):
        outcome = method(self, queue_name, *more, **named)
        changed[queue_name].notify_all()
        return outcome

    return change


Queue.sending = False
uncounted("approximate_number_of_messages")
uncounted("approximate_number_of_messages_delayed")
uncounted("approximate_number_of_messages_not_visible")
DomainDispatcherApplication.__call__ = one_at_a_time
SQSBackend.receive_message = receive
SQSBackend.send_message = telling(send)
SQSBackend.delete_message = telling(SQSBackend.delete_message)
SQSBackend.change_message_visibility = telling(SQSBackend.change_message_visibility)
