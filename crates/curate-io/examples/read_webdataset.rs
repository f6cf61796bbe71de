//! WebDataset shards: tar files of `KEY.jpg`, `KEY.txt` and `KEY.json`. Writes a shard of two samples
//! and reads their captions, images and records.

use std::{error::Error, fs::File};

use curate_core::NoProgress;
use curate_io::{Format, Pool, PoolOptions, ids::id_of_key};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut tar = tar::Builder::new(File::create(folder.path().join("00000.tar"))?);
    let members: [(&str, &[u8]); 6] = [
        ("000.jpg", b"the bytes of a picture"),
        ("000.txt", b"a cat"),
        ("000.json", br#"{"similarity": 0.31, "source": "web"}"#),
        ("001.jpg", b"the bytes of another"),
        ("001.txt", b"a dog"),
        ("001.json", br#"{"uid": "0b", "similarity": 0.12}"#),
    ];
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes)?;
    }
    tar.into_inner()?.sync_all()?;

    let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
    assert_eq!((pool.format(), pool.len()), (Format::Webdataset, 2));

    // A sample is known by the `uid` of its record, and without one by its key.
    assert_eq!(pool.ids(), [id_of_key("000"), "0b".parse()?]);
    assert_eq!(pool.column("similarity")?.to_vec(), [0.31, 0.12]);
    assert_eq!(pool.labels("source")?, [Some("web".to_owned()), None]);

    // Images are read only where they are asked for.
    let sample = pool.samples_with_images(&[1])?.remove(0);
    assert_eq!(sample.caption.as_deref(), Some("a dog"));
    assert_eq!(sample.image.as_deref(), Some(&b"the bytes of another"[..]));
    assert_eq!(pool.samples(&[1])?[0].image, None);
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
