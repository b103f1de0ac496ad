"""What is remembered: grasp attempts as Parquet shards that Hugging Face `datasets` opens as they are."""
