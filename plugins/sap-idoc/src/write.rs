//! Writes the XML of an IDoc: segments that nest, fields that are left out when they are empty.

/// An IDoc while it is written.
pub struct Writer {
    out: String,
    open: Vec<String>,
}

impl Writer {
    pub fn new(kind: &str) -> Self {
        let mut writer = Self { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() };
        writer.start(&format!("<{kind}>\n"), kind);
        writer.start("<IDOC BEGIN=\"1\">\n", "IDOC");
        writer
    }

    /// Begins a segment.
    pub fn segment(&mut self, name: &str) {
        self.start(&format!("<{name} SEGMENT=\"1\">\n"), name);
    }

    fn start(&mut self, tag: &str, name: &str) {
        self.indent();
        self.out.push_str(tag);
        self.open.push(name.to_owned());
    }

    /// A field; nothing where there is nothing to say.
    pub fn field(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.indent();
        self.out.push_str(&format!("<{name}>"));
        for letter in value.chars() {
            match letter {
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '&' => self.out.push_str("&amp;"),
                // Control characters have no place in XML 1.0.
                letter if letter.is_control() => self.out.push(' '),
                letter => self.out.push(letter),
            }
        }
        self.out.push_str(&format!("</{name}>\n"));
    }

    /// Ends the innermost segment.
    pub fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.out.push_str(&format!("</{name}>\n"));
        }
    }

    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.out
    }

    fn indent(&mut self) {
        for _ in 0..self.open.len() {
            self.out.push_str("  ");
        }
    }
}
