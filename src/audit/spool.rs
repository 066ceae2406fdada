//! Rows kept in a file without a name, so that a large result does not stay in memory. The file is gone with the process.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::marker::PhantomData;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the temporary file for the results cannot be used: {0}; is there space in the folder of TMPDIR?")]
pub struct SpoolError(#[from] pub(crate) io::Error);

/// Rows in the order in which they were added.
#[derive(Debug)]
pub struct Spool<T> {
    file: File,
    rows: PhantomData<fn() -> T>,
}

/// A spool that is being filled.
#[derive(Debug)]
pub(crate) struct Filling<T> {
    out: BufWriter<File>,
    /// Bytes so far: where the next row begins.
    length: u64,
    rows: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Filling<T> {
    pub(crate) fn new() -> Result<Self, SpoolError> {
        Ok(Self { out: BufWriter::new(tempfile::tempfile()?), length: 0, rows: PhantomData })
    }

    /// Adds a row and returns where it begins.
    pub(crate) fn add(&mut self, row: &T) -> Result<u64, SpoolError> {
        let mut line = serde_json::to_vec(row).map_err(io::Error::from)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        let at = self.length;
        self.length += line.len() as u64;
        Ok(at)
    }

    pub(crate) fn finish(self) -> Result<Spool<T>, SpoolError> {
        let file = self.out.into_inner().map_err(|error| SpoolError(error.into_error()))?;
        Ok(Spool { file, rows: PhantomData })
    }
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// Calls for every row, in order, stopping at the first error.
    ///
    /// # Errors
    /// Those of `visit`, and when the file cannot be read.
    pub fn each(&self, visit: &mut dyn FnMut(&T) -> io::Result<()>) -> io::Result<()> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        for line in BufReader::new(file).lines() {
            visit(&serde_json::from_str(&line?)?)?;
        }
        Ok(())
    }

    /// The row that begins at a place.
    pub(crate) fn at(&self, place: u64) -> Result<T, SpoolError> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(place))?;
        let mut line = String::new();
        BufReader::new(file).read_line(&mut line)?;
        Ok(serde_json::from_str(&line).map_err(io::Error::from)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_as_often_as_asked() {
        let mut filling = Filling::new().unwrap();
        let places: Vec<u64> = ["a\nb", "", "ü"].iter().map(|row| filling.add(&(*row).to_owned()).unwrap()).collect();
        let spool: Spool<String> = filling.finish().unwrap();
        for _ in 0..2 {
            let mut seen = Vec::new();
            let pushed = spool.each(&mut |row| {
                seen.push(row.clone());
                Ok(())
            });
            pushed.unwrap();
            assert_eq!(seen, ["a\nb", "", "ü"]);
        }
        assert_eq!(spool.at(places[2]).unwrap(), "ü");
        assert_eq!(spool.at(places[0]).unwrap(), "a\nb");
        let mut seen = 0;
        let stopped = spool.each(&mut |_| {
            seen += 1;
            Err(io::Error::other("enough"))
        });
        assert_eq!((stopped.unwrap_err().to_string(), seen), ("enough".to_owned(), 1));
    }
}
