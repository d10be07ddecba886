//! The statements that run for every delivery, in one place so that a test can look at their plans.

/// Heads that may be delivered now, the longest waiting first.
/// 1: subscription, 2: now, 3: how many.
pub(super) const READY: &str = "
    SELECT sequence FROM delivery
    WHERE subscription_id = ?1 AND head = 1 AND due <= ?2
    ORDER BY due, sequence LIMIT ?3";

/// Takes messages from the log into the subscription. The first of each key becomes the head of its lane, unless the
/// lane has one.
/// 1: subscription, 2: now, 3: topic, 4: how many, 5: whether it is ordered.
pub(super) const TAKE: &str = "
    INSERT INTO delivery (subscription_id, sequence, lane, head, due)
    SELECT ?1, sequence, lane,
           lane IS NULL OR (nth = 1 AND NOT EXISTS (
               SELECT 1 FROM delivery AS d WHERE d.subscription_id = ?1 AND d.lane = fresh.lane)),
           ?2
    FROM (
        SELECT sequence, lane, row_number() OVER (PARTITION BY lane ORDER BY sequence) AS nth
        FROM (
            SELECT sequence, CASE WHEN ?5 THEN message_key END AS lane FROM message
            WHERE topic_id = ?3 AND sequence > (SELECT cursor FROM subscription WHERE id = ?1)
            ORDER BY sequence LIMIT ?4)
    ) AS fresh";

/// Moves the cursor behind what was taken.
/// 1: subscription.
pub(super) const ADVANCE: &str = "
    UPDATE subscription SET cursor = (SELECT max(sequence) FROM delivery WHERE subscription_id = ?1) WHERE id = ?1";

/// 1: subscription.
pub(super) const NEXT_FENCE: &str =
    "UPDATE subscription SET fence = fence + 1 WHERE id = ?1 RETURNING fence";

/// 1: subscription, 2: fence, 3: end of the lease, 4: sequences as JSON.
pub(super) const LEASE: &str = "
    UPDATE delivery SET fence = ?2, attempts = attempts + 1, due = ?3
    WHERE subscription_id = ?1 AND sequence IN (SELECT value FROM json_each(?4))
    RETURNING sequence, attempts";

/// When the next head is due.
/// 1: subscription.
pub(super) const NEXT_DUE: &str =
    "SELECT min(due) FROM delivery WHERE subscription_id = ?1 AND head = 1";

/// Whether there is something to deliver.
/// 1: subscription, 2: topic, 3: now.
pub(super) const ANYTHING: &str = "
    SELECT EXISTS (SELECT 1 FROM message
                   WHERE topic_id = ?2 AND sequence > (SELECT cursor FROM subscription WHERE id = ?1))
        OR EXISTS (SELECT 1 FROM delivery WHERE subscription_id = ?1 AND head = 1 AND due <= ?3)";

/// 1: sequences as JSON.
pub(super) const BODIES: &str = "
    SELECT sequence, headers, content_type, data FROM message
    WHERE sequence IN (SELECT value FROM json_each(?1))";

/// Extends leases that still hold.
/// 1: [[subscription, sequence, fence, end of the lease], …].
pub(super) const EXTEND: &str = "
    UPDATE delivery SET due = j.value ->> 3 FROM json_each(?1) AS j
    WHERE subscription_id = j.value ->> 0 AND sequence = j.value ->> 1 AND fence = j.value ->> 2
    RETURNING subscription_id, sequence, fence";

/// Copies what is rejected to the dead letters.
/// 1: [[subscription, sequence, fence, reason], …], 2: now.
pub(super) const BURY: &str = "
    INSERT INTO dead_letter (subscription_id, sequence, attempts, reason, rejected_at)
    SELECT d.subscription_id, d.sequence, d.attempts, j.value ->> 3, ?2
    FROM json_each(?1) AS j
    CROSS JOIN delivery AS d
        ON d.subscription_id = j.value ->> 0 AND d.sequence = j.value ->> 1 AND d.fence = j.value ->> 2";

/// 1: [[subscription, sequence, fence], …].
pub(super) const FINISH: &str = "
    DELETE FROM delivery WHERE (subscription_id, sequence, fence) IN (
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))
    RETURNING subscription_id, sequence, lane";

/// Gives deliveries back, to be due at a time, and to be counted (0) or not (1).
/// 1: [[subscription, sequence, fence, due, uncounted], …].
pub(super) const GIVE_BACK: &str = "
    UPDATE delivery SET fence = 0, due = j.value ->> 3, attempts = attempts - (j.value ->> 4)
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
