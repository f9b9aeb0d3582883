//! A table that reads well in a terminal and is Markdown.

use std::fmt::Write;

/// Rows under a head; every row has as many cells as the head.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.rows[0].len(), "a row has as many cells as the head");
        self.rows.push(cells);
    }

    /// The first column leans left, figures lean right.
    pub fn markdown(&self) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let cell = if column == 0 { format!("| {cell:<width$} |") } else { format!(" {cell:>width$} |") };
                text.push_str(&cell);
            }
            text.push('\n');
            if number == 0 {
                for (column, &width) in widths.iter().enumerate() {
                    let line = "-".repeat(width);
                    let _ = if column == 0 { write!(text, "|-{line}-|") } else { write!(text, "-{line}:|") };
                }
                text.push('\n');
            }
        }
        text
    }
}

/// A figure with as many digits as are worth reading.
pub fn figure(value: Option<f64>) -> String {
    match value {
        None => "n/a".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["who", "n"]);
        table.row(vec!["a".into(), figure(Some(1234.5))]);
        assert_eq!(table.markdown(), "| who |    n |\n|-----|-----:|\n| a   | 1234 |\n");
    }
}
