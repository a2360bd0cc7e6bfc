//! `--db DIR[,label=value…]`: a database folder and the labels of its data.

use std::{path::PathBuf, str::FromStr};

use sg::LabelSet;

/// One `--db` flag.
#[derive(Debug, Clone, PartialEq)]
pub struct DbArg {
    /// folder of the database
    pub dir: PathBuf,
    /// labels of its data
    pub labels: LabelSet,
}

impl FromStr for DbArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (dir, labels) = text.split_once(',').unwrap_or((text, ""));
        if dir.is_empty() {
            return Err("a folder is needed before the labels: DIR[,label=value…]".into());
        }
        let dir = PathBuf::from(dir);
        // What is refused here is what cannot become a database; one that is empty may be saved into.
        match hdb::folder::look(&dir) {
            Ok(hdb::folder::Folder::Database | hdb::folder::Folder::Empty) => {}
            Ok(hdb::folder::Folder::Foreign(what)) => {
                return Err(format!("{} is no kdb+ database: {what}", dir.display()));
            }
            Err(error) => return Err(error.to_string()),
        }
        Ok(DbArg { dir, labels: LabelSet::parse(labels).map_err(|f| f.ai)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_and_labels_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("{},region=amer,class=equity", dir.path().display());
        let arg: DbArg = text.parse().unwrap();
        assert_eq!(arg.dir, dir.path());
        assert_eq!(arg.labels.to_string(), "class=equity,region=amer");
    }

    #[test]
    fn mistakes_are_explained() {
        assert!("/no/such/folder".parse::<DbArg>().unwrap_err().contains("does not exist"));
        let dir = tempfile::tempdir().unwrap();
        let err = format!("{},region", dir.path().display()).parse::<DbArg>().unwrap_err();
        assert!(err.contains("label `region` has no value"), "{err}");
    }
}
