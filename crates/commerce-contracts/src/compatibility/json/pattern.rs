//! Regular expressions, as far as ECMA-262 and the engine used here are known to agree.

use std::cell::OnceCell;
use std::fmt::Write as _;

use regex_lite::{Regex, RegexBuilder};

/// Bytes of a compiled pattern: `a{1000000}` takes more.
const MOST_SIZE: usize = 1 << 18;

/// Longer examples are not made.
const MOST_LENGTH: u32 = 200;

/// A pattern of a schema.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    regex: OnceCell<Option<Regex>>,
    examples: OnceCell<Vec<String>>,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            regex: OnceCell::new(),
            examples: OnceCell::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found in the text. None when the pattern uses something whose meaning is not certain.
    pub(super) fn is_match(&self, text: &str) -> Option<bool> {
        let regex = self
            .regex
            .get_or_init(|| {
                let mut builder = RegexBuilder::new(&translated(&self.text)?);
                builder.size_limit(MOST_SIZE).build().ok()
            })
            .as_ref()?;
        Some(regex.is_match(text))
    }

    /// Whether every text contains a match.
    pub(super) fn matches_everything(&self) -> bool {
        matches!(self.text.as_str(), "" | "^" | "$" | ".*" | "^.*" | ".*$")
    }

    /// Texts that match, simplest first. They are guesses: whoever uses them tries them.
    pub(super) fn examples(&self) -> Vec<String> {
        let make = || {
            let mut examples: Vec<String> = (0..4)
                .filter_map(|variant| example(&self.text, variant))
                .collect();
            examples.retain(|text| self.is_match(text) == Some(true));
            examples.dedup();
            examples
        };
        self.examples.get_or_init(make).clone()
    }
}

/// The same expression for the engine, or None where the two dialects might part.
fn translated(pattern: &str) -> Option<String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next()?;
                match escaped {
                    'd' | 'w' | 'D' | 'W' | 'n' | 'r' | 't' => {}
                    // `\s` is ASCII for the engine and Unicode in ECMA-262; letters and digits have meanings of their own.
                    other if !other.is_ascii_punctuation() => return None,
                    _ => {}
                }
                translated.push('\\');
                // The engine knows no escape of these, and they need none.
                if matches!(
                    escaped,
                    '/' | '_'
                        | '"'
                        | '\''
                        | ','
                        | ':'
                        | ';'
                        | '='
                        | '!'
                        | '@'
                        | '`'
                        | '%'
                        | '<'
                        | '>'
                ) {
                    translated.pop();
                }
                translated.push(escaped);
            }
            '[' | '&' | '~' if in_class => return None,
            '[' => {
                in_class = true;
                translated.push('[');
                if characters.peek() == Some(&'^') {
                    characters.next();
                    translated.push('^');
                }
                // `[]` and `[^]` are complete classes in ECMA-262 only.
                if characters.peek() == Some(&']') {
                    return None;
                }
            }
            ']' if in_class => {
                in_class = false;
                translated.push(']');
            }
            '-' if in_class && characters.peek() == Some(&'-') => return None,
            '.' if !in_class => translated.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            '(' if !in_class => {
                translated.push('(');
                if characters.peek() == Some(&'?') {
                    characters.next();
                    (characters.next() == Some(':')).then_some(())?;
                    translated.push_str("?:");
                }
            }
            '{' if !in_class => {
                characters
                    .peek()
                    .is_some_and(char::is_ascii_digit)
                    .then_some(())?;
                translated.push('{');
            }
            // White space would be skipped in no mode used here; everything else means itself.
            other => translated.push(other),
        }
    }
    Some(translated)
}

/// A text for the simple expressions that schemas hold: literals, classes, groups without alternatives nested too deep, counts.
fn example(pattern: &str, variant: u32) -> Option<String> {
    let mut parser = Examples {
        rest: pattern.chars().collect(),
        at: 0,
        variant,
    };
    let text = parser.alternatives(0)?;
    (parser.at == parser.rest.len()).then_some(text)
}

struct Examples {
    rest: Vec<char>,
    at: usize,
    variant: u32,
}

impl Examples {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(character)
    }

    fn alternatives(&mut self, depth: u32) -> Option<String> {
        if depth > 8 {
            return None;
        }
        let mut all = vec![self.sequence(depth)?];
        while self.peek() == Some('|') {
            self.at += 1;
            all.push(self.sequence(depth)?);
        }
        let chosen = self.variant as usize % all.len();
        Some(all.swap_remove(chosen))
    }

    fn sequence(&mut self, depth: u32) -> Option<String> {
        let mut text = String::new();
        while let Some(character) = self.peek() {
            if matches!(character, '|' | ')') {
                break;
            }
            self.at += 1;
            let piece = match character {
                '^' | '$' => continue,
                '(' => {
                    if self.peek() == Some('?') {
                        self.at += 1;
                        (self.next()? == ':').then_some(())?;
                    }
                    let inner = self.alternatives(depth + 1)?;
                    (self.next()? == ')').then_some(())?;
                    inner
                }
                '[' => self.class()?.to_string(),
                '.' => "x".to_owned(),
                '\\' => match self.next()? {
                    'd' => "7".to_owned(),
                    'w' => "w".to_owned(),
                    'n' => "\n".to_owned(),
                    other if other.is_ascii_punctuation() => other.to_string(),
                    _ => return None,
                },
                other => other.to_string(),
            };
            let (least, most) = self.count()?;
            let wished = least.saturating_add(self.variant);
            let times = most
                .map_or(wished, |most| wished.min(most))
                .min(MOST_LENGTH);
            // Counts of counts multiply.
            if text.len() + piece.len() * times as usize > MOST_LENGTH as usize {
                return None;
            }
            for _ in 0..times {
                text.write_str(&piece).ok()?;
            }
        }
        Some(text)
    }

    fn class(&mut self) -> Option<char> {
        let negated = self.peek() == Some('^');
        if negated {
            self.at += 1;
        }
        let first = self.next()?;
        let chosen = match first {
            '\\' => match self.next()? {
                'd' => '7',
                'w' => 'w',
                other => other,
            },
            other => other,
        };
        while self.next()? != ']' {}
        if negated {
            return Some(if chosen == '~' { '!' } else { '~' });
        }
        Some(chosen)
    }

    fn count(&mut self) -> Option<(u32, Option<u32>)> {
        let count = match self.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => {
                let end = self.rest[self.at..]
                    .iter()
                    .position(|character| *character == '}')?
                    + self.at;
                let inner: String = self.rest[self.at + 1..end].iter().collect();
                self.at = end;
                match inner.split_once(',') {
                    None => {
                        let exactly = inner.parse().ok()?;
                        (exactly, Some(exactly))
                    }
                    Some((least, "")) => (least.parse().ok()?, None),
                    Some((least, most)) => (least.parse().ok()?, Some(most.parse().ok()?)),
                }
            }
            _ => return Some((1, Some(1))),
        };
        self.at += 1;
        if self.peek() == Some('?') {
            self.at += 1; // a lazy count has the same texts
        }
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_ecma_262_says() {
        let cases = [
            ("^x-", "x-a", Some(true)),
            ("^x-", "ax-", Some(false)),
            (r"^\d{3}$", "123", Some(true)),
            (r"^\d{3}$", "١٢٣", Some(false)), // digits are ASCII
            ("^[A-Z]{3}$", "BRL", Some(true)),
            ("^[A-Z]{3}$", "BRL\n", Some(false)),
            ("^.$", "\u{2028}", Some(false)),
            (r"a\/b", "a/b", Some(true)),
            (r"^\s$", "\u{a0}", None),
            (r"(?=a)b", "b", None),
            (r"[\p{L}]", "a", None),
            ("[]a]", "a", None),
            ("[a&&b]", "a", None),
            ("a{,3}", "a{,3}", None),
            (r"\bword\b", "word", None),
            ("(", "(", None),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Pattern::new(pattern).is_match(text),
                expected,
                "{pattern} in {text:?}"
            );
        }
    }

    #[test]
    fn examples_match() {
        for pattern in [
            "^[A-Z]{3}$",
            r"^\d{8}$",
            "^(a|b)+c?$",
            r"^ord-[0-9a-f]{4,}$",
            "",
            "^[^a]$",
        ] {
            assert!(!Pattern::new(pattern).examples().is_empty(), "{pattern}");
        }
    }
}
