//! The statements that run for every delivery, in one place so that a test can look at their plans.

/// The cursor of a subscription, unless it is gone.
/// 1: subscription.
pub(super) const CURSOR: &str = "SELECT cursor FROM subscription WHERE id = ?1";

/// Heads that may be delivered now, the longest waiting first, and how large their messages are.
/// 1: subscription, 2: now by the file's clock, 3: how many.
pub(super) const READY: &str = "
    SELECT d.sequence, coalesce((
        SELECT octet_length(attributes) + coalesce(octet_length(data), 0) + coalesce(octet_length(headers), 0)
        FROM message AS m WHERE m.sequence = d.sequence), 0)
    FROM delivery AS d
    WHERE d.subscription_id = ?1 AND d.head = 1 AND d.ready_at <= ?2
    ORDER BY d.ready_at, d.sequence LIMIT ?3";

/// Takes messages into the subscription. The first of each key becomes the head of its lane, unless the lane has one.
macro_rules! take {
    ($messages:literal) => {
        concat!(
            "
    INSERT INTO delivery (subscription_id, sequence, lane, head, ready_at)
    SELECT ?1, sequence, lane,
           lane IS NULL OR (nth = 1 AND NOT EXISTS (
               SELECT 1 FROM delivery AS d WHERE d.subscription_id = ?1 AND d.lane = fresh.lane)),
           ?2
    FROM (
        SELECT sequence, lane, row_number() OVER (PARTITION BY lane ORDER BY sequence) AS nth
        FROM (SELECT sequence, CASE WHEN ?3 THEN message_key END AS lane FROM ",
            $messages,
            ")
    ) AS fresh
    RETURNING sequence"
        )
    };
}

/// Takes what follows in the log.
/// 1: subscription, 2: now by the file's clock, 3: whether it is ordered, 4: topic, 5: cursor, 6: how many.
pub(super) const TAKE: &str =
    take!("message WHERE topic_id = ?4 AND sequence > ?5 ORDER BY sequence LIMIT ?6");

/// What follows in the log, for a filter to look at.
/// 1: topic, 2: cursor, 3: how many.
pub(super) const LOOK: &str = "
    SELECT sequence, attributes, content_type FROM message
    WHERE topic_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";

/// Takes what the filter wants.
/// 1: subscription, 2: now by the file's clock, 3: whether it is ordered, 4: sequences as JSON.
pub(super) const TAKE_WANTED: &str =
    take!("message WHERE sequence IN (SELECT value FROM json_each(?4))");

/// Moves the cursor behind what was taken or passed over.
/// 1: subscription, 2: cursor.
pub(super) const ADVANCE: &str = "UPDATE subscription SET cursor = ?2 WHERE id = ?1";

/// 1: subscription.
pub(super) const NEXT_FENCE: &str =
    "UPDATE subscription SET fence = fence + 1 WHERE id = ?1 RETURNING fence";

/// Leases heads. One whose lease ended has failed at that moment.
/// 1: subscription, 2: fence, 3: end of the lease, 4: sequences as JSON, 5: now by the wall's clock, 6: by the file's.
pub(super) const LEASE: &str = "
    UPDATE delivery SET fence = ?2, attempts = attempts + 1, ready_at = ?3,
        first_seen_at = coalesce(first_seen_at, ?5),
        first_failed_at = CASE WHEN fence > 0 THEN coalesce(first_failed_at, ready_at + ?5 - ?6) ELSE first_failed_at END
    WHERE subscription_id = ?1 AND sequence IN (SELECT value FROM json_each(?4))
    RETURNING sequence, attempts, first_seen_at";

/// When the next head is due.
/// 1: subscription.
pub(super) const NEXT_DUE: &str =
    "SELECT min(ready_at) FROM delivery WHERE subscription_id = ?1 AND head = 1";

/// Whether there is something to deliver.
/// 1: subscription, 2: topic, 3: now by the file's clock.
pub(super) const ANYTHING: &str = "
    SELECT EXISTS (SELECT 1 FROM message
                   WHERE topic_id = ?2 AND sequence > (SELECT cursor FROM subscription WHERE id = ?1))
        OR EXISTS (SELECT 1 FROM delivery WHERE subscription_id = ?1 AND head = 1 AND ready_at <= ?3)";

/// 1: sequences as JSON.
pub(super) const BODIES: &str = "
    SELECT sequence, message_key, attributes, content_type, data, headers FROM message
    WHERE sequence IN (SELECT value FROM json_each(?1))";

/// Extends leases that still hold.
/// 1: [[subscription, sequence, fence, end of the lease], …].
pub(super) const EXTEND: &str = "
    UPDATE delivery SET ready_at = j.value ->> 3 FROM json_each(?1) AS j
    WHERE subscription_id = j.value ->> 0 AND sequence = j.value ->> 1 AND fence = j.value ->> 2
    RETURNING subscription_id, sequence, fence";

/// Copies what is rejected to the dead letters. Of the reasons, the newest are kept.
/// 1: [[subscription, sequence, fence, reason], …], 2: now, 3: how many reasons.
pub(super) const BURY: &str = "
    INSERT INTO dead_letter (subscription_id, sequence, attempts, reasons, rejected_at, first_seen_at, first_failed_at)
    SELECT d.subscription_id, d.sequence, d.attempts,
           json_insert(
               CASE WHEN json_array_length(d.reasons) >= ?3 THEN json_remove(d.reasons, '$[0]')
                    ELSE coalesce(d.reasons, '[]') END,
               '$[#]', j.value ->> 3),
           ?2, d.first_seen_at, coalesce(d.first_failed_at, ?2)
    FROM json_each(?1) AS j
    CROSS JOIN delivery AS d
        ON d.subscription_id = j.value ->> 0 AND d.sequence = j.value ->> 1 AND d.fence = j.value ->> 2";

/// 1: [[subscription, sequence, fence], …].
pub(super) const FINISH: &str = "
    DELETE FROM delivery WHERE (subscription_id, sequence, fence) IN (
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))
    RETURNING subscription_id, sequence, lane";

/// Gives deliveries back, to be due at a time. What is given back after an attempt has failed; what is given back as if
/// it had not been handed out (1) has not, and was not seen either.
/// 1: [[subscription, sequence, fence, ready at, uncounted], …], 2: now.
pub(super) const GIVE_BACK: &str = "
    UPDATE delivery SET fence = 0, ready_at = j.value ->> 3, attempts = attempts - (j.value ->> 4),
        first_seen_at = CASE WHEN attempts > j.value ->> 4 THEN first_seen_at END,
        first_failed_at = CASE WHEN j.value ->> 4 THEN first_failed_at ELSE coalesce(first_failed_at, ?2) END
    FROM json_each(?1) AS j
    WHERE subscription_id = j.value ->> 0 AND sequence = j.value ->> 1 AND fence = j.value ->> 2
    RETURNING subscription_id, sequence, lane";

/// A head that was given back makes way for an older one of its lane, which a redrive brought.
/// 1: [[subscription, sequence], …].
pub(super) const MAKE_WAY: &str = "
    UPDATE delivery SET head = 0
    WHERE (subscription_id, sequence) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
      AND EXISTS (SELECT 1 FROM delivery AS older
                  WHERE older.subscription_id = delivery.subscription_id AND older.lane = delivery.lane
                    AND older.sequence < delivery.sequence)";

/// The oldest of each lane becomes its head.
/// 1: [[subscription, lane], …].
pub(super) const PROMOTE: &str = "
    UPDATE delivery SET head = 1
    WHERE (subscription_id, sequence) IN (
        SELECT j.value ->> 0, (
            SELECT min(d.sequence) FROM delivery AS d
            WHERE d.subscription_id = j.value ->> 0 AND d.lane = j.value ->> 1)
        FROM json_each(?1) AS j)";
