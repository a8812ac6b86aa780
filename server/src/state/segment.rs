//! The parameter segment: the served models in a compact form, so that a server with 100,000 of them serves again within
//! seconds. Append-only; the last record of a series counts. What is in it is never wholly in memory.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read as _, Write as _},
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use loadcast_model::series::SeriesName;

use crate::{
    error::{Error, Result},
    state::{
        model_record::{Head, ModelRecord},
        record::{
            Record as _, append_durably, frame, head_of, is_gone, open_to_append, replace_file,
            scan,
        },
    },
};

/// Records that the segment may carry beyond two for each live series before it is rewritten.
const SLACK: usize = 1_000;

/// The segment, open for appending.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    file: File,
    /// How many records the file holds.
    len: usize,
}

/// Where the last record of a live series lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    revision: u64,
    begin: u64,
    length: usize,
}

/// What a segment held when it was opened.
#[derive(Debug, Clone)]
pub struct Index {
    /// The last record of each live series, in the order of the file.
    pub places: Vec<Place>,
    /// A record other than one torn at the end of the file did not check out.
    pub damaged: bool,
    /// There were records of revisions that never became visible; they must not stay, for their numbers come again.
    invisible: bool,
}

impl Segment {
    /// Opens `path` (made when absent), cuts off a record torn at the end, and finds the last record of each series up to
    /// the revision `visible`. Damage is left where it is, so that a crash now does not hide it.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be read or written.
    pub fn open(path: &Path, visible: u64) -> Result<(Self, Index)> {
        let file = open_to_append(path)?;
        let mut len = 0;
        let mut invisible = false;
        let mut last: HashMap<SeriesName, (bool, Place)> = HashMap::new();
        let extent = scan(path, |begin, payload| {
            let (head, _) = Head::split(payload)?;
            len += 1;
            if head.revision > visible {
                invisible = true;
                return Ok(());
            }
            let place = Place {
                revision: head.revision,
                begin,
                length: payload.len(),
            };
            last.insert(head.series, (head.is_served, place));
            Ok(())
        })?;
        if !extent.damaged {
            file.set_len(extent.good_bytes)
                .and_then(|()| file.sync_all())
                .map_err(|error| Error::state(path, error))?;
        }
        let mut places: Vec<Place> = last
            .into_values()
            .filter_map(|(is_served, place)| is_served.then_some(place))
            .collect();
        places.sort_unstable_by_key(|place| place.begin);
        let segment = Self {
            path: path.to_owned(),
            file,
            len,
        };
        let index = Index {
            places,
            damaged: extent.damaged,
            invisible,
        };
        Ok((segment, index))
    }

    /// Appends `records` and waits until they are on the disk.
    ///
    /// # Errors
    /// [`Error::State`]
    pub fn append(&mut self, records: &[ModelRecord]) -> Result<()> {
        let mut framed = Vec::new();
        for record in records {
            framed.extend_from_slice(&frame(&self.path, record)?);
        }
        append_durably(&self.path, &mut self.file, &framed)?;
        self.len += records.len();
        Ok(())
    }

    /// How long it is, for [`Segment::cut_back`].
    ///
    /// # Errors
    /// [`Error::State`]
    pub fn end(&self) -> Result<(u64, usize)> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|error| Error::state(&self.path, error))?;
        Ok((metadata.len(), self.len))
    }

    /// Takes back what was appended since it ended at `end`.
    ///
    /// # Errors
    /// [`Error::State`]
    pub fn cut_back(&mut self, (bytes, len): (u64, usize)) -> Result<()> {
        let cut = self.file.set_len(bytes);
        cut.map_err(|error| Error::state(&self.path, error))?;
        self.len = len;
        Ok(())
    }

    /// Whether it was taken away; see [`is_gone`].
    pub fn is_gone(&self) -> bool {
        is_gone(&self.file)
    }

    /// Whether it holds much more than one record for each of `live` series.
    pub fn wants_rewrite(&self, live: usize) -> bool {
        self.len > 2 * live + SLACK
    }

    /// Cuts it down to the last record of each series. Blocks on reading and writing all of it.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite(&mut self) -> Result<()> {
        let (_, index) = Self::open(&self.path, u64::MAX)?;
        self.keep(&index, None).map(drop)
    }

    /// Rewrites it where it holds what must not stay, or much that need not; the index of what is there then.
    ///
    /// # Errors
    /// As [`Segment::rewrite`].
    pub fn tidied(&mut self, index: &Index) -> Result<Index> {
        if index.invisible || self.wants_rewrite(index.places.len()) {
            return self.keep(index, None);
        }
        Ok(index.clone())
    }

    /// Replaces all that it holds, atomically, by `records`.
    ///
    /// # Errors
    /// [`Error::State`], also for the first error of `records`.
    pub fn replace(&mut self, records: impl Iterator<Item = Result<ModelRecord>>) -> Result<()> {
        let mut len = 0;
        self.file = replace_file(&self.path, |file| {
            for record in records {
                let framed = record.and_then(|record| frame(&self.path, &record));
                file.write_all(&framed.map_err(std::io::Error::other)?)?;
                len += 1;
            }
            Ok(())
        })?;
        self.len = len;
        Ok(())
    }

    /// As [`Segment::tidied`] for a new epoch, in which all that is kept counts as of revision 0: visible, should a
    /// crash come before it is served again.
    ///
    /// # Errors
    /// As [`Segment::rewrite`].
    pub fn renumbered(&mut self, index: &Index) -> Result<Index> {
        self.keep(index, Some(0))
    }

    fn keep(&mut self, index: &Index, revision: Option<u64>) -> Result<Index> {
        let mut places = Vec::with_capacity(index.places.len());
        let mut reader = Reader::open(&self.path)?;
        let mut end = 0;
        self.file = replace_file(&self.path, |file| {
            for place in &index.places {
                let payload = reader.read(place)?;
                if let (Some(revision), Some(begin)) = (revision, payload.first_chunk_mut()) {
                    *begin = revision.to_le_bytes();
                }
                let head = head_of(payload)?;
                file.write_all(&head)?;
                file.write_all(payload)?;
                let begin = end + head.len() as u64;
                end = begin + payload.len() as u64;
                places.push(Place {
                    revision: revision.unwrap_or(place.revision),
                    begin,
                    length: place.length,
                });
            }
            Ok(())
        })?;
        self.len = places.len();
        Ok(Index {
            places,
            damaged: false,
            invisible: false,
        })
    }

    /// What `restore` makes of each record at `places`, on every core; in the order of revisions.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be read.
    pub fn load<T: Send>(
        &self,
        places: &[Place],
        restore: impl Fn(ModelRecord) -> Option<T> + Sync,
    ) -> Result<Vec<T>> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = places.len().div_ceil(cores).max(1);
        let restore = &restore;
        let mut restored: Vec<(u64, T)> = thread::scope(|scope| {
            let workers: Vec<_> = places
                .chunks(share)
                .map(|places| scope.spawn(move || self.load_share(places, restore)))
                .collect();
            let mut restored = Vec::with_capacity(places.len());
            for worker in workers {
                let share = worker.join().map_err(|_| {
                    Error::Internal("a thread that restored models died".to_owned())
                })?;
                restored.extend(share?);
            }
            Ok::<_, Error>(restored)
        })?;
        restored.sort_by_key(|(revision, _)| *revision);
        Ok(restored.into_iter().map(|(_, restored)| restored).collect())
    }

    fn load_share<T>(
        &self,
        places: &[Place],
        restore: &impl Fn(ModelRecord) -> Option<T>,
    ) -> Result<Vec<(u64, T)>> {
        let mut reader = Reader::open(&self.path)?;
        let mut restored = Vec::with_capacity(places.len());
        for place in places {
            let payload = reader
                .read(place)
                .map_err(|error| Error::state(&self.path, error))?;
            // It checked out when it was indexed; what cannot be decoded now was written by another build.
            match ModelRecord::decode(payload) {
                Ok(record) => {
                    restored.extend(restore(record).map(|restored| (place.revision, restored)));
                }
                Err(error) => {
                    tracing::error!(path = %self.path.display(), offset = place.begin, error, "a remembered model cannot be read");
                }
            }
        }
        Ok(restored)
    }
}

/// Reads payloads, each into the same buffer; quickest in the order of the file.
struct Reader {
    file: BufReader<File>,
    at: u64,
    payload: Vec<u8>,
}

impl Reader {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::state(path, error))?;
        Ok(Self {
            file: BufReader::with_capacity(1 << 20, file),
            at: 0,
            payload: Vec::new(),
        })
    }

    fn read(&mut self, place: &Place) -> std::io::Result<&mut [u8]> {
        let skip = i64::try_from(i128::from(place.begin) - i128::from(self.at))
            .map_err(std::io::Error::other)?;
        self.file.seek_relative(skip)?;
        self.payload.resize(place.length, 0);
        self.file.read_exact(&mut self.payload)?;
        self.at = place.begin + place.length as u64;
        Ok(&mut self.payload)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn removal(series: &str, revision: u64) -> ModelRecord {
        ModelRecord {
            revision,
            series: series.parse().unwrap(),
            model: None,
        }
    }

    /// Not a model that could be served; segments do not look.
    fn record(series: &str, revision: u64) -> ModelRecord {
        use jiff::Timestamp;
        use loadcast_model::{
            artifact::{METADATA_SCHEMA, Metadata},
            series::Series,
        };

        use crate::state::model_record::{StoredFacts, StoredModel};
        let metadata = Metadata {
            schema: METADATA_SCHEMA,
            sha256: String::new(),
            size_bytes: 0,
            series: Series::new(series.parse().unwrap()),
            cutoff: Timestamp::UNIX_EPOCH,
            trained_at: Timestamp::UNIX_EPOCH,
            rows: 0,
            scores: None,
            trainer_version: String::new(),
            data_sha256: String::new(),
            spec: None,
            verdict: None,
            clamps: None,
            band_calibration: None,
            correction: None,
            peak: None,
        };
        ModelRecord {
            model: Some(StoredModel {
                facts: StoredFacts {
                    version: revision,
                    alias: "champion".to_owned(),
                    previous_version: 0,
                    served_since: Timestamp::UNIX_EPOCH,
                    metadata,
                },
                parameters: b"{}".repeat(100),
            }),
            ..removal(series, revision)
        }
    }

    fn loaded(segment: &Segment, index: &Index) -> Vec<ModelRecord> {
        segment.load(&index.places, Some).unwrap()
    }

    fn filled(path: &Path, records: &[ModelRecord]) {
        let (mut segment, _) = Segment::open(path, 0).unwrap();
        segment.append(records).unwrap();
    }

    #[test]
    fn the_last_record_of_each_series_counts_and_a_removed_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters.bin");
        let records = [
            record("a", 1),
            record("b", 2),
            record("a", 3),
            removal("b", 4),
        ];
        filled(&path, &records);
        let (mut segment, index) = Segment::open(&path, 4).unwrap();
        assert_eq!(loaded(&segment, &index), [record("a", 3)]);
        segment.rewrite().unwrap();
        segment.append(&[record("c", 5)]).unwrap();
        let (segment, index) = Segment::open(&path, 5).unwrap();
        assert_eq!(loaded(&segment, &index), [record("a", 3), record("c", 5)]);
    }

    #[test]
    fn a_record_whose_event_was_never_logged_is_dropped_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters.bin");
        filled(&path, &[record("a", 1), record("a", 2)]);
        let (mut segment, index) = Segment::open(&path, 1).unwrap();
        let index = segment.tidied(&index).unwrap();
        assert_eq!(loaded(&segment, &index), [record("a", 1)]);
        // Revision 2 comes again, for another series: what it was before must not come back with it.
        segment.append(&[record("b", 2)]).unwrap();
        let (segment, index) = Segment::open(&path, 2).unwrap();
        assert_eq!(loaded(&segment, &index), [record("a", 1), record("b", 2)]);
    }

    #[test]
    fn a_record_torn_at_any_byte_is_cut_off_and_what_was_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters.bin");
        filled(&path, &[record("a", 1)]);
        let first = fs::metadata(&path).unwrap().len();
        filled(&path, &[record("b", 2)]);
        let whole = fs::read(&path).unwrap();
        for cut in usize::try_from(first).unwrap()..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (segment, index) = Segment::open(&path, 2).unwrap();
            assert!(!index.damaged, "cut at {cut}");
            assert_eq!(loaded(&segment, &index), [record("a", 1)], "cut at {cut}");
            assert_eq!(fs::metadata(&path).unwrap().len(), first);
        }
    }

    #[test]
    fn damage_is_told_of_and_what_checks_out_is_kept_for_a_new_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parameters.bin");
        filled(&path, &[record("a", 1)]);
        let first = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        filled(&path, &[record("b", 2), record("c", 3)]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[first + 20] ^= 1;
        fs::write(&path, bytes).unwrap();
        for _ in 0..2 {
            let (_, index) = Segment::open(&path, 3).unwrap();
            assert!(index.damaged, "looking does not hide it");
        }
        let (mut segment, index) = Segment::open(&path, u64::MAX).unwrap();
        segment.renumbered(&index).unwrap();
        let (segment, index) = Segment::open(&path, 0).unwrap();
        assert!(!index.damaged);
        let kept = loaded(&segment, &index);
        assert_eq!((kept.len(), kept[0].revision), (1, 0));
        assert_eq!(kept[0].series, record("a", 1).series);
    }
}
