//! Plain-text tables for the end of a run.

use std::fmt::Write as _;
use std::time::Duration;

/// Rows under a heading; columns as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Columns whose cells are all numbers or times are set flush right.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.cells(column)
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let flush_right = |column: usize| {
            self.cells(column)
                .skip(1)
                .all(|cell| cell.is_empty() || is_figure(cell))
        };
        let layout: Vec<(usize, bool)> = (0..columns)
            .map(|column| (width(column), flush_right(column)))
            .collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, (width, right)) in row.iter().zip(&layout) {
                // Writing to a String cannot fail.
                let _ = if *right {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
            if number == 0 {
                let rule: Vec<String> =
                    layout.iter().map(|(width, _)| "-".repeat(*width)).collect();
                text.push_str(&rule.join("  "));
                text.push('\n');
            }
        }
        text
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows
            .iter()
            .filter_map(move |row| row.get(column).map(String::as_str))
    }
}

/// A number or a time; a sentence may begin with a number as well.
fn is_figure(cell: &str) -> bool {
    cell.len() <= 12 && cell.starts_with(|first: char| first.is_ascii_digit())
}

/// `0.4 s`, `12.0 s`, `3 min 05 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    if tenths < 1200 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let whole = time.as_secs();
    format!("{} min {:02} s", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_flush_right() {
        let mut table = Table::new(["suite", "passed", "time"]);
        table.row(["event-bus".to_owned(), "7".to_owned(), "1.5 s".to_owned()]);
        table.row(["x".to_owned(), "120".to_owned(), "12.0 s".to_owned()]);
        assert_eq!(
            table.render(),
            "suite      passed    time\n---------  ------  ------\nevent-bus       7   1.5 s\nx             120  12.0 s\n"
        );
    }

    #[test]
    fn sentences_stay_flush_left() {
        let mut table = Table::new(["remark", "x"]);
        table.row(["300 orders came through".to_owned(), "1".to_owned()]);
        table.row(["1 order".to_owned(), "2".to_owned()]);
        assert!(
            table.render().contains("\n1 order                  2\n"),
            "{}",
            table.render()
        );
    }

    #[test]
    fn times_read_well_at_every_length() {
        assert_eq!(seconds(Duration::from_millis(340)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(59)), "59.0 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
