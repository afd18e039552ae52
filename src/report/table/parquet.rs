//! Tables in parquet files, when the feature `parquet` is on; it is off by default because it makes the cold build longer.

use super::Table;
use crate::error::Result;

#[cfg(feature = "parquet")]
mod on {
    use std::io::Cursor;

    use polars::prelude::*;

    use super::{Result, Table};
    use crate::error::{Code, Error};
    use crate::report::table::{Value, foreign, value};

    impl Table {
        /// The table in the bytes of a parquet file.
        ///
        /// # Errors
        /// `damaged-file`; `unsupported` when the feature `parquet` is off.
        pub fn from_parquet(bytes: Vec<u8>) -> Result<Table> {
            let frame = ParquetReader::new(Cursor::new(bytes)).finish().map_err(damaged)?;
            of_any_types(&frame)
        }

        /// The bytes of a parquet file; the same table gives the same bytes.
        ///
        /// # Errors
        /// `unsupported` when the feature `parquet` is off.
        pub fn to_parquet(&self) -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let writer = ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Snappy);
            writer.set_parallel(false).finish(&mut self.frame.clone()).map_err(foreign)?;
            Ok(bytes)
        }

        /// The texts of one column of a parquet file, nulls left out; other columns are not read.
        ///
        /// # Errors
        /// `damaged-file` when there is no such column or it is not text; `unsupported` when the feature `parquet` is off.
        pub fn texts_of_parquet(bytes: Vec<u8>, column: &str) -> Result<Vec<String>> {
            let reader = ParquetReader::new(Cursor::new(bytes)).with_columns(Some(vec![column.to_string()]));
            let table = of_any_types(&reader.finish().map_err(damaged)?)?;
            let texts = table.column(column)?.into_iter().filter(|value| *value != Value::Null);
            let text = |value| match value {
                Value::Text(text) => Ok(text),
                _ => Err(Error::new(Code::DamagedFile, format!("the column `{column}` of the file is not text"))),
            };
            texts.map(text).collect()
        }
    }

    /// A column of one of the four types for each of the file's.
    fn of_any_types(frame: &DataFrame) -> Result<Table> {
        let columns = frame.columns().iter().map(|c| Ok((c.name().to_string(), value::from_column(c)?)));
        Table::from_columns(columns.collect::<Result<_>>()?)
    }

    fn damaged(error: PolarsError) -> Error {
        let reason = error.to_string();
        Error::new(Code::DamagedFile, "this is no parquet table").fact("reason", reason.lines().next().unwrap_or(""))
    }
}

#[cfg(not(feature = "parquet"))]
mod off {
    use super::{Result, Table};
    use crate::error::{Code, Error};

    impl Table {
        /// The table in the bytes of a parquet file.
        ///
        /// # Errors
        /// `damaged-file`; `unsupported` when the feature `parquet` is off.
        pub fn from_parquet(_: Vec<u8>) -> Result<Table> {
            Err(absent())
        }

        /// The bytes of a parquet file; the same table gives the same bytes.
        ///
        /// # Errors
        /// `unsupported` when the feature `parquet` is off.
        pub fn to_parquet(&self) -> Result<Vec<u8>> {
            Err(absent())
        }

        /// The texts of one column of a parquet file, nulls left out; other columns are not read.
        ///
        /// # Errors
        /// `damaged-file` when there is no such column or it is not text; `unsupported` when the feature `parquet` is off.
        pub fn texts_of_parquet(_: Vec<u8>, _: &str) -> Result<Vec<String>> {
            Err(absent())
        }
    }

    fn absent() -> Error {
        Error::new(Code::Unsupported, "this build has no parquet")
            .fact("expected", "a build with the feature `parquet`")
            .help("cargo build --release --features parquet")
    }
}
