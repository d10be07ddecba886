//! Made-up instances that the writer's schema accepts and the reader's refuses.
//!
//! The instances are guesses around the limits that the two schemas state; each is tried against both before anyone sees it.

use serde_json::{Map, Value};

use super::checker::Checker;
use super::finding::{Found, Step};
use super::format;
use super::number::Decimal;
use super::place::{Case, Place};
use super::schema::{Id, Node};
use super::types::Types;
use super::values::Values;

/// Deeper instances are not made.
const MOST_DEPTH: usize = 12;

/// Longer texts and arrays are not made.
const MOST_LENGTH: u64 = 300;

/// More values of an `enum` are not tried.
const MOST_LISTED: usize = 32;

/// Attempts with other choices, when the first does not do.
const MOST_ATTEMPTS: u64 = 24;

/// Made instances of one search.
const MOST_MADE: u32 = 4_000;

/// Choices that look random and are the same in every run.
#[derive(Clone, Copy)]
struct Choices(u64);

impl Choices {
    /// The first attempt is the plainest.
    fn below(&mut self, count: usize) -> usize {
        if self.0 == 0 || count == 0 {
            return 0;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % count
    }

    fn is_plain(self) -> bool {
        self.0 == 0
    }
}

/// What must be inside the instance, and where.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    steps: &'a [Step],
    value: &'a Value,
}

/// Looks for an instance that shows the finding: accepted by `writer`, refused by `reader`.
pub(super) fn search(
    checker: &Checker<'_>,
    writer: &Place,
    writer_root: Id,
    reader_root: Id,
    found: &Found,
) -> Option<Value> {
    let maker = Maker {
        checker,
        left: std::cell::Cell::new(MOST_MADE),
    };
    for value in maker.suspects(&found.place, found.goal) {
        if checker.is_exhausted() || maker.left.get() == 0 {
            return None;
        }
        for attempt in 0..3 {
            let mut choices = Choices(attempt);
            let wanted = Wanted {
                steps: &found.steps,
                value: &value,
            };
            let Some(whole) = maker.make(writer, Some(wanted), &mut choices, 0) else {
                continue;
            };
            let evaluator = checker.evaluator();
            if evaluator.accepts(writer_root, &whole) == Some(true)
                && evaluator.accepts(reader_root, &whole) == Some(false)
            {
                return Some(whole);
            }
        }
    }
    None
}

struct Maker<'a> {
    checker: &'a Checker<'a>,
    left: std::cell::Cell<u32>,
}

impl Maker<'_> {
    fn accepts(&self, case: &Case, value: &Value) -> bool {
        let evaluator = self.checker.evaluator();
        case.place
            .known
            .iter()
            .all(|id| evaluator.accepts(*id, value) == Some(true))
            && case
                .place
                .refused
                .iter()
                .all(|id| evaluator.accepts(*id, value) == Some(false))
    }

    /// Instances of the place that the goal refuses.
    fn suspects(&self, place: &Place, goal: Id) -> Vec<Value> {
        let mut suspects = Vec::new();
        let mut related = Vec::new();
        self.checker.declare(&mut related, goal);
        for case in self.checker.cases(place) {
            let mut guesses: Vec<Value> = case.values.clone().unwrap_or_default();
            let nodes: Vec<&Node> = self
                .checker
                .nodes(&case)
                .chain(related.iter().map(|id| &self.checker.schemas[*id]))
                .collect();
            for types in case.types.iter() {
                match types {
                    Types::NULL => guesses.push(Value::Null),
                    Types::BOOLEAN => guesses.extend([Value::Bool(true), Value::Bool(false)]),
                    Types::INTEGER | Types::FRACTION => guesses.extend(numbers(&nodes)),
                    Types::STRING => guesses.extend(strings(&nodes)),
                    Types::ARRAY => guesses.extend(self.arrays(&case, &nodes)),
                    Types::OBJECT => guesses.extend(self.objects(&case, goal)),
                    _ => {}
                }
            }
            for attempt in 1..=MOST_ATTEMPTS {
                guesses.extend(self.make(place, None, &mut Choices(attempt * 0x9E37_79B9), 0));
            }
            let evaluator = self.checker.evaluator();
            for guess in guesses {
                if evaluator.accepts(goal, &guess) == Some(false)
                    && self.accepts(&case, &guess)
                    && !suspects.contains(&guess)
                {
                    suspects.push(guess);
                    if suspects.len() >= 6 {
                        return suspects;
                    }
                }
            }
        }
        suspects
    }

    /// An instance of the place, if one is found.
    fn make(
        &self,
        place: &Place,
        wanted: Option<Wanted<'_>>,
        choices: &mut Choices,
        depth: usize,
    ) -> Option<Value> {
        if let Some(wanted) = wanted
            && wanted.steps.is_empty()
        {
            return Some(wanted.value.clone());
        }
        if depth > MOST_DEPTH || self.left.get() == 0 || self.checker.is_exhausted() {
            return None;
        }
        self.left.set(self.left.get() - 1);
        let mut cases = self.checker.cases(place);
        let needed = match wanted.and_then(|wanted| wanted.steps.first()) {
            Some(Step::Property(_)) => Types::OBJECT,
            Some(Step::Item(_)) => Types::ARRAY,
            None => Types::ALL,
        };
        cases.retain(|case| case.types.overlaps(needed));
        let first = choices.below(cases.len());
        cases.rotate_left(first);
        for case in &cases {
            let mut types: Vec<Types> = case.types.and(needed).iter().collect();
            // The plainest instance is an object, then text, then a whole number.
            types.reverse();
            types.sort_by_key(|one| *one == Types::ARRAY || *one == Types::FRACTION);
            let first = choices.below(types.len());
            types.rotate_left(first);
            for one in types {
                let made = match (&case.values, one) {
                    (Some(values), _) => {
                        let of_type: Vec<&Value> = values
                            .iter()
                            .filter(|value| one.contains(Types::of(value)))
                            .collect();
                        of_type.get(choices.below(of_type.len())).copied().cloned()
                    }
                    (None, Types::OBJECT) => self.object(case, wanted, choices, depth),
                    (None, Types::ARRAY) => self.array(case, wanted, None, choices, depth),
                    (None, Types::STRING) => self.chosen(case, strings(&self.nodes(case)), choices),
                    (None, _) => {
                        let mut all = numbers(&self.nodes(case));
                        all.retain(|value| one.contains(Types::of(value)));
                        self.chosen(case, all, choices)
                    }
                };
                if made.is_some() {
                    return made;
                }
            }
        }
        None
    }

    fn nodes<'s>(&'s self, case: &'s Case) -> Vec<&'s Node> {
        self.checker.nodes(case).collect()
    }

    fn chosen(&self, case: &Case, mut all: Vec<Value>, choices: &mut Choices) -> Option<Value> {
        all.retain(|value| self.accepts(case, value));
        all.get(choices.below(all.len())).cloned()
    }

    fn object(
        &self,
        case: &Case,
        wanted: Option<Wanted<'_>>,
        choices: &mut Choices,
        depth: usize,
    ) -> Option<Value> {
        let mut names: Vec<String> = self
            .checker
            .required(&case.place.known)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let inner = wanted.and_then(|wanted| match wanted.steps.split_first() {
            Some((Step::Property(name), steps)) => Some((name, Wanted { steps, ..wanted })),
            _ => None,
        });
        if let Some((name, _)) = inner
            && !names.contains(name)
        {
            names.push(name.clone());
        }
        let least = self
            .checker
            .nodes(case)
            .filter_map(|node| node.min_properties)
            .max()
            .unwrap_or(0);
        let spelled = self.checker.spelled_names(case);
        for name in &spelled {
            let wished = !choices.is_plain() && choices.below(2) == 1;
            if (wished || (names.len() as u64) < least)
                && !names.contains(name)
                && self.checker.property(case, name).is_some()
            {
                names.push(name.clone());
            }
        }
        for node in self.checker.nodes(case) {
            for (from, others) in &node.dependent_required {
                if names.contains(from) {
                    let new: Vec<String> = others
                        .iter()
                        .filter(|other| !names.contains(other))
                        .cloned()
                        .collect();
                    names.extend(new);
                }
            }
        }
        let mut members = Map::new();
        for name in names {
            let place = self
                .checker
                .property(case, &name)
                .or_else(|| self.unspelled(case, &name))?;
            let wanted =
                inner.and_then(|(wanted_name, wanted)| (*wanted_name == name).then_some(wanted));
            members.insert(name, self.make(&place, wanted, choices, depth + 1)?);
        }
        let others = self.checker.other_names(case);
        for index in members.len() as u64..least.min(MOST_LENGTH) {
            let other = others.first()?;
            let value = self.make(&other.place, None, choices, depth + 1)?;
            members.insert(format!("{}{index}", other.example), value);
        }
        if !choices.is_plain()
            && choices.below(3) == 1
            && let Some(other) = others.get(choices.below(others.len()))
            && let Some(value) = self.make(&other.place, None, choices, depth + 1)
        {
            members.entry(other.example.clone()).or_insert(value);
        }
        Some(Value::Object(members))
    }

    /// The place of a name that no schema spells out.
    fn unspelled(&self, case: &Case, name: &str) -> Option<Place> {
        self.checker
            .other_names(case)
            .into_iter()
            .find(|other| other.example == name)
            .map(|other| other.place)
    }

    fn array(
        &self,
        case: &Case,
        wanted: Option<Wanted<'_>>,
        length: Option<u64>,
        choices: &mut Choices,
        depth: usize,
    ) -> Option<Value> {
        let inner = wanted.and_then(|wanted| match wanted.steps.split_first() {
            Some((Step::Item(index), steps)) => Some((*index, Wanted { steps, ..wanted })),
            _ => None,
        });
        let contains = self
            .checker
            .nodes(case)
            .find_map(|node| node.contains.as_ref());
        let mut count = length.unwrap_or_else(|| {
            let least = self
                .checker
                .min_items(case)
                .max(u64::from(contains.is_some()));
            least.saturating_add(choices.below(3) as u64)
        });
        if let Some((index, _)) = inner {
            count = count.max(index as u64 + 1);
        }
        if count > MOST_LENGTH {
            return None;
        }
        let unique = self.checker.nodes(case).any(|node| node.unique_items);
        let mut items: Vec<Value> = Vec::new();
        for index in 0..usize::try_from(count).ok()? {
            let mut place = self.checker.item(case, index)?;
            if let Some(contains) = contains
                && ((index as u64).saturating_add(contains.least.max(1)) >= count
                    || choices.below(2) == 1)
            {
                place = place.with(contains.schema);
            }
            let wanted = inner.and_then(|(at, wanted)| (at == index).then_some(wanted));
            let mut item = self.make(&place, wanted, choices, depth + 1)?;
            let mut attempt = 1;
            while unique && items.contains(&item) && attempt < 12 {
                item = self.make(&place, wanted, &mut Choices(attempt * 0x51_7CC1), depth + 1)?;
                attempt += 1;
            }
            items.push(item);
        }
        Some(Value::Array(items))
    }

    fn arrays(&self, case: &Case, nodes: &[&Node]) -> Vec<Value> {
        let mut lengths: Vec<u64> = vec![0, 1, 2, 3];
        for node in nodes {
            let limits = [
                node.min_items,
                node.max_items,
                Some(node.prefix.len() as u64),
            ];
            for limit in limits.into_iter().flatten() {
                lengths.extend([limit.saturating_sub(1), limit, limit.saturating_add(1)]);
            }
        }
        lengths.sort_unstable();
        lengths.dedup();
        lengths.retain(|length| *length <= MOST_LENGTH);
        let mut arrays = Vec::new();
        for length in lengths {
            for attempt in [0, 5, 9] {
                arrays.extend(self.array(case, None, Some(length), &mut Choices(attempt), 0));
            }
        }
        arrays
    }

    fn objects(&self, case: &Case, goal: Id) -> Vec<Value> {
        let mut objects = Vec::new();
        let Some(Value::Object(base)) = self.object(case, None, &mut Choices(0), 0) else {
            return objects;
        };
        objects.push(Value::Object(base.clone()));
        let mut names = self.checker.spelled_names(case);
        names.extend(self.checker.evaluator().names(goal));
        let mut full = base.clone();
        for name in names {
            let Some(place) = self.checker.property(case, &name) else {
                continue;
            };
            for attempt in [0, 3, 7] {
                if let Some(value) = self.make(&place, None, &mut Choices(attempt), 1) {
                    let mut one = base.clone();
                    one.insert(name.clone(), value.clone());
                    objects.push(Value::Object(one));
                    full.entry(name.clone()).or_insert(value);
                }
            }
        }
        for other in self.checker.other_names(case) {
            if let Some(value) = self.make(&other.place, None, &mut Choices(0), 1) {
                let mut one = base.clone();
                one.insert(other.example.clone(), value.clone());
                objects.push(Value::Object(one));
                let mut many = base.clone();
                for index in 0..8 {
                    many.insert(format!("{}{index}", other.example), value.clone());
                    objects.push(Value::Object(many.clone()));
                }
            }
        }
        objects.push(Value::Object(full));
        objects
    }
}

/// Numbers around every limit.
fn numbers(nodes: &[&Node]) -> Vec<Value> {
    let mut decimals: Vec<Decimal> = [0, 1, -1, 2].map(Decimal::integer).to_vec();
    let half = Decimal::integer(1).half();
    let limits = |node: &&Node| {
        [node.minimum, node.maximum]
            .into_iter()
            .flatten()
            .map(|bound| bound.value)
            .collect::<Vec<_>>()
    };
    let mut centers: Vec<Decimal> = nodes.iter().flat_map(limits).collect();
    for node in nodes {
        centers.extend(
            node.values
                .iter()
                .flat_map(Values::iter)
                .take(MOST_LISTED)
                .filter_map(|value| value.as_number().and_then(Decimal::of)),
        );
    }
    let steps: Vec<Decimal> = nodes.iter().filter_map(|node| node.multiple_of).collect();
    for center in centers.iter().chain(&[Decimal::integer(0)]) {
        decimals.push(*center);
        let unit = [
            Some(Decimal::integer(1)),
            Some(Decimal::integer(-1)),
            half,
            half.and_then(|half| half.plus(Decimal::integer(-1))),
        ];
        decimals.extend(
            unit.into_iter()
                .flatten()
                .filter_map(|offset| center.plus(offset)),
        );
        decimals.extend(center.floor().map(Decimal::integer));
        for step in &steps {
            decimals.extend(center.plus(*step));
            decimals.extend(step.half().and_then(|half| center.plus(half)));
            decimals.extend(multiples_near(*center, *step));
        }
    }
    let mut numbers = Vec::new();
    for decimal in decimals {
        if let Some(number) = decimal.to_number() {
            let value = Value::Number(number);
            if !numbers.contains(&value) {
                numbers.push(value);
            }
        }
    }
    numbers
}

/// The multiples of a whole step on both sides of a number.
fn multiples_near(center: Decimal, step: Decimal) -> Vec<Decimal> {
    let (Some(center), Some(step)) = (center.floor(), step.floor().filter(|step| *step > 0)) else {
        return Vec::new();
    };
    let Some(below) = center.div_euclid(step).checked_mul(step) else {
        return Vec::new();
    };
    [-1, 0, 1, 2]
        .into_iter()
        .filter_map(|times| below.checked_add(step.checked_mul(times)?))
        .map(Decimal::integer)
        .collect()
}

/// Texts around every limit.
fn strings(nodes: &[&Node]) -> Vec<Value> {
    let mut texts: Vec<String> = vec!["a".to_owned(), String::new()];
    for node in nodes {
        if let Some(pattern) = &node.pattern {
            texts.extend(pattern.examples());
        }
        if let Some(format) = &node.format {
            texts.extend(
                format::examples(format)
                    .iter()
                    .map(|text| (*text).to_owned()),
            );
        }
        for value in node.values.iter().flat_map(Values::iter).take(MOST_LISTED) {
            texts.extend(value.as_str().map(str::to_owned));
        }
        for limit in [node.min_length, node.max_length].into_iter().flatten() {
            for length in [limit.saturating_sub(1), limit, limit.saturating_add(1)] {
                if length <= MOST_LENGTH {
                    texts.push("a".repeat(usize::try_from(length).unwrap_or(0)));
                }
            }
        }
    }
    texts.extend([format::NO_FORMAT, "~", "7", "A", "é"].map(str::to_owned));
    let mut strings: Vec<Value> = Vec::new();
    for text in texts {
        let value = Value::String(text);
        if !strings.contains(&value) {
            strings.push(value);
        }
    }
    strings
}
