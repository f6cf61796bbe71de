//! Pools and selections on disk: DataComp metadata, WebDataset shards, npy/npz, Parquet
