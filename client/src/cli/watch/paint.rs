//! Lines of a watch for a terminal: broken between words where they would be too long, what matters in colour. In a pipe
//! a line is a line, for whoever looks for one in it.

use crate::cli::terminal::Terminal;

const RESET: &str = "\x1b[0m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";

/// What the rest of a broken line begins with.
const INDENT: &str = "    ";

/// One line as it is to be shown here.
pub(crate) fn painted(line: &str, terminal: &Terminal) -> String {
    let broken = if terminal.interactive {
        broken(line, usize::from(terminal.columns))
    } else {
        line.to_owned()
    };
    if !terminal.colour {
        return broken;
    }
    // The blanks between words stay as they are.
    let words = broken.split_inclusive([' ', '\n']);
    words.map(with_colour).collect()
}

/// Broken at the last comma that fits, else at the last blank; a word that is too long alone stays whole.
fn broken(line: &str, columns: usize) -> String {
    let mut shown = String::new();
    let mut rest = line;
    let mut room = columns;
    while rest.chars().count() > room {
        let end = rest
            .char_indices()
            .nth(room + 1)
            .map_or(rest.len(), |(i, _)| i);
        let fits = &rest[..end];
        let comma = fits.rfind(", ").map(|i| i + 1);
        let Some(at) = comma.or_else(|| fits.rfind(' ')).or_else(|| rest.find(' ')) else {
            break;
        };
        shown.push_str(rest[..at].trim_end());
        shown.push('\n');
        shown.push_str(INDENT);
        rest = rest[at..].trim_start();
        room = columns.saturating_sub(INDENT.len());
    }
    shown.push_str(rest);
    shown
}

fn with_colour(word: &str) -> String {
    let bare = word.trim_end();
    match colour(bare.trim_end_matches([',', ':'])) {
        Some(colour) => format!("{colour}{bare}{RESET}{}", &word[bare.len()..]),
        None => word.to_owned(),
    }
}

/// Of the upper-case words that tell how things stand.
fn colour(word: &str) -> Option<&'static str> {
    match word {
        "SERVED" | "SERVING" | "FRESH" | "REGISTRY_BACK" | "ALIAS_BACK" => Some(GREEN),
        "LOADING" | "STALE_MODEL" | "STALE_DATA" | "REGISTRY_UNREACHABLE" | "ALIAS_GONE" => {
            Some(YELLOW)
        }
        "REJECTED" | "REMOVED" | "RETIRED" => Some(RED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "14:03:22Z revision 12  SERVED  demo.web.cpu  version 3 (was 2)";

    fn terminal(columns: u16, colour: bool, interactive: bool) -> Terminal {
        Terminal {
            columns,
            colour,
            interactive,
        }
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_and_a_pipe_gets_one() {
        let narrow = painted(LINE, &terminal(40, false, true));
        assert_eq!(
            narrow,
            "14:03:22Z revision 12  SERVED\n    demo.web.cpu  version 3 (was 2)"
        );
        assert_eq!(painted(LINE, &terminal(40, false, false)), LINE);
        let forecast = "forecast web: mean 1.82 cores, peak 2.31 at 14:40 UTC";
        assert_eq!(
            painted(forecast, &terminal(40, false, true)),
            "forecast web: mean 1.82 cores,\n    peak 2.31 at 14:40 UTC"
        );
        let name = "x".repeat(128);
        let long = painted(&format!("gone {name} at"), &terminal(40, false, true));
        assert_eq!(long, format!("gone\n    {name}\n    at"));
    }

    #[test]
    fn only_what_tells_how_things_stand_is_in_colour() {
        let coloured = painted(LINE, &terminal(80, true, true));
        assert_eq!(
            coloured,
            "14:03:22Z revision 12  \x1b[32mSERVED\x1b[0m  demo.web.cpu  version 3 (was 2)"
        );
    }
}
