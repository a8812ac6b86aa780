//! Where the records of a CSV file begin.
//!
//! Blank lines hold no record and a quoted field may hold line ends, so the number of a row is not
//! the line a person must go to.

/// A record with more or fewer fields than the first one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ragged {
    pub(super) line: u32,
    pub(super) fields: usize,
    pub(super) expected: usize,
}

/// A record that is being read: the line it began on and the fields so far.
struct Open {
    line: u32,
    fields: usize,
}

/// The lines, from 1, on which the records after the header begin.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<u32>, Ragged> {
    let mut lines = Vec::new();
    let mut expected = None;
    let mut close = |open: Option<Open>| -> Result<(), Ragged> {
        let Some(Open { line, fields }) = open else {
            return Ok(());
        };
        match expected {
            None => expected = Some(fields),
            Some(expected) if expected != fields => {
                return Err(Ragged {
                    line,
                    fields,
                    expected,
                });
            }
            Some(_) => lines.push(line),
        }
        Ok(())
    };
    let (mut line, mut previous) = (1_u32, 0_u8);
    let (mut quoted, mut field_start) = (false, true);
    let mut open = None;
    for &byte in bytes {
        let line_end = byte == b'\n' || byte == b'\r';
        if line_end && !quoted {
            close(open.take())?;
            field_start = true;
        } else {
            let record = open.get_or_insert(Open { line, fields: 1 });
            if byte == b'"' && (quoted || field_start) {
                quoted = !quoted;
                // A doubled quote inside a quoted field closes it and opens it again.
                field_start = !quoted;
            } else {
                field_start = !quoted && byte == b',';
                record.fields += usize::from(field_start);
            }
        }
        if line_end && !(byte == b'\n' && previous == b'\r') {
            line += 1;
        }
        previous = byte;
    }
    close(open)?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_begin_where_a_person_would_look() {
        assert_eq!(lines(b"a,b\n1,2\n3,4"), Ok(vec![2, 3]));
        assert_eq!(lines(b"\na,b\r\n\r\n1,\"x\ny\"\n3,4\n"), Ok(vec![4, 6]));
        assert_eq!(lines(b"a,b\n1,\"say \"\"hi, you\"\"\"\n"), Ok(vec![2]));
        assert_eq!(lines(b"a,b\n1,5\"x\n"), Ok(vec![2]));
        assert_eq!(lines(b""), Ok(vec![]));
    }

    #[test]
    fn a_ragged_record_is_told_with_its_line() {
        let ragged = Ragged {
            line: 4,
            fields: 1,
            expected: 2,
        };
        assert_eq!(lines(b"a,b\n1,2\n\n3\n"), Err(ragged));
    }
}
