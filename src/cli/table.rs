//! Rows and columns.

use super::failure::Failure;
use super::output::{Output, Style, printable};

/// A table: columns under headings on a terminal, lines with tabs and without headings elsewhere.
pub(super) struct Table<const COLUMNS: usize> {
    headings: [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

/// The widest a column gets, in characters, unless it is the last one.
const WIDEST: usize = 48;

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) fn new(headings: [&'static str; COLUMNS]) -> Self {
        Self {
            headings,
            rows: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: [String; COLUMNS]) {
        self.rows
            .push(row.map(|cell| printable(&cell).replace('\t', " ")));
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if !output.is_terminal {
            return self
                .rows
                .iter()
                .try_for_each(|row| output.line(row.join("\t")));
        }
        let widths = self.widths();
        let headings = self.headings.map(str::to_owned);
        output.styled(Style::Bold, aligned(&headings, &widths))?;
        for row in &self.rows {
            output.line(aligned(row, &widths))?;
        }
        Ok(())
    }

    fn widths(&self) -> [usize; COLUMNS] {
        let mut widths = self.headings.map(str::len);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count()).min(WIDEST);
            }
        }
        widths
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, (cell, &width)) in row.iter().zip(widths).enumerate() {
        let is_last = index + 1 == row.len();
        if is_last {
            line.push_str(cell);
        } else if cell.chars().count() > width {
            line.extend(cell.chars().take(width.saturating_sub(1)));
            line.push_str("…  ");
        } else {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["A", "B"]);
        table.add(["long cell".to_owned(), "x".to_owned()]);
        let widths = table.widths();
        assert_eq!(widths, [9, 1]);
        assert_eq!(
            aligned(&["a".to_owned(), "b".to_owned()], &widths),
            "a          b"
        );
    }

    #[test]
    fn a_cell_that_is_too_wide_is_cut() {
        let mut table = Table::new(["A", "B"]);
        table.add(["x".repeat(60), "y".to_owned()]);
        let line = aligned(&table.rows[0], &table.widths());
        assert_eq!(line, format!("{}…  y", "x".repeat(47)));
    }
}
