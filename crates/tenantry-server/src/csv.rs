//! Tables for spreadsheets: RFC 4180, and no cell is a formula.

/// A cell.
pub(crate) enum Cell<'a> {
    Text(&'a str),
    Number(i64),
}

/// A table with a row of names.
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.row(names.iter().map(|name| Cell::Text(name)));
        table
    }

    pub(crate) fn row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| cell.written()).collect();
        self.0.push_str(&cells.join(","));
        self.0.push_str("\r\n");
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl Cell<'_> {
    fn written(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            // A spreadsheet that would calculate it takes it for a text if an apostrophe is in front.
            Self::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => quoted(&format!("'{text}")),
            Self::Text(text) if text.contains([',', '"', '\r', '\n', ';']) => quoted(text),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s74_a_cell_is_a_number_or_a_text_and_never_a_formula() {
        let mut table = Table::new(&["a", "b, c"]);
        let texts = ["=cmd()", "+1", "-1", "@x", "\t=1", "say \"no\"", "two\r\nlines", "plain", ""];
        table.row(texts.map(Cell::Text));
        table.row([Cell::Number(-5), Cell::Number(7)]);
        let expected = concat!(
            "a,\"b, c\"\r\n",
            "\"'=cmd()\",\"'+1\",\"'-1\",\"'@x\",\"'\t=1\",\"say \"\"no\"\"\",\"two\r\nlines\",plain,\r\n",
            "-5,7\r\n",
        );
        assert_eq!(table.into_text(), expected);
    }
}
