"""One file a measure: `cases` sets the stage, `ours` and the peers run on it, `check` judges an answer."""
