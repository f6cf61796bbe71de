//! The blocks of a chapter.

/// What a test does with a block.
pub(crate) enum Block<'a> {
    /// A file to write.
    File { name: &'a str, text: String },
    /// Commands to run, each on one line.
    Commands(Vec<String>),
}

/// The blocks of a chapter that are written or run, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    let (mut saved, mut skipped) = (None, false);
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("<!-- saved as ") {
            saved = Some(rest.trim_end_matches(" -->"));
        } else if let Some(reason) = line.strip_prefix("<!-- not run: ") {
            assert!(reason.len() > 8, "`{line}` gives no reason");
            skipped = true;
        } else if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> =
                lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if let Some(name) = saved.take() {
                found.push(Block::File { name, text: body.join("\n") + "\n" });
            } else if language == "console" && !skipped {
                let typed = body.join("\n").replace("\n$ ", "\n");
                found.push(Block::Commands(commands(typed.trim_start_matches("$ "))));
            }
            skipped = false;
        } else if line.starts_with("    ") && !line.trim_start().starts_with(['|', '-', '*']) {
            let mut body = line.trim_start().to_owned();
            while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
                body = format!("{body}\n{}", line.trim_start());
            }
            let is_command = body.starts_with("curate ") || body.starts_with("cargo ");
            if is_command && !skipped {
                found.push(Block::Commands(commands(&body)));
            }
            skipped = false;
        } else if !line.is_empty() {
            skipped = false;
        }
    }
    found
}

/// Joined where a line ends with a backslash, without comments.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split("  #").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
