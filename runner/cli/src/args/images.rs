//! Arguments of `images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `images`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ImagesVerb,
}

/// The verbs of `images`.
#[derive(Debug, Subcommand)]
pub enum ImagesVerb {
    /// Say for each image how it can be had, and whether it is here
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the images that are not here
    Build {
        /// Images [default: all that have a recipe]
        names: Vec<String>,
        /// Build from scratch, without the layer cache, also what is here
        #[arg(long)]
        fresh: bool,
        /// Record the Debian packages that came as the expected ones, in images/packages.lock.json
        #[arg(long, requires = "fresh")]
        record: bool,
        /// Install missing host packages without asking (Debian, as root)
        #[arg(long)]
        yes: bool,
    },
    /// Check that the images here are the ones that the lock names
    Verify {
        /// Images [default: all that are here]
        names: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write newer pins into the lock: what tags stand for now, and wheels
    Update {
        /// Images [default: all]
        names: Vec<String>,
        /// Change nothing; exit code 1 where a tag stands for something else
        #[arg(long)]
        check: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a set of images to one file, for a machine without a network
    Export {
        /// File to write (.tar or .tar.zst)
        file: PathBuf,
        /// Images [default: all that have a recipe]
        names: Vec<String>,
    },
    /// Load a set of images from a file that `export` wrote, after verifying it
    Import {
        /// File to read
        file: PathBuf,
    },
}
