//! Writes [`holdfast_fuzz::seeds`] into a folder, `<folder>/<target>/seed-<number>`.

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let folder = std::env::args()
        .nth(1)
        .ok_or_else(|| io::Error::other("usage: seeds <folder>"))?;
    for (number, (target, input)) in holdfast_fuzz::seeds::seeds().into_iter().enumerate() {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{number}")), input)?;
    }
    Ok(())
}
