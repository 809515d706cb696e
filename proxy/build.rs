//! Takes the API browser out of its archive, and builds anew when a migration is added: the binary has them all in it.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs, io};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// What a page needs of the browser, and its licence.
const FILES: [&str; 3] = [
    "dist/swagger-ui-bundle.js",
    "dist/swagger-ui.css",
    "LICENSE",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../migrations");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("swagger-ui");
    fs::create_dir_all(&out)?;
    let mut archive = ZipArchive::new(io::Cursor::new(SWAGGER_UI_VENDORED))?;
    // Everything is in one folder that is named after the version.
    let folder = {
        let mut names = archive.file_names().flatten();
        names.find_map(|name| Some(name.strip_suffix("dist/swagger-ui.css")?.to_owned()))
    };
    let folder = folder.ok_or("the archive has no Swagger UI")?;
    for file in FILES {
        let name = file.rsplit('/').next().unwrap_or(file);
        let mut packed = archive.by_name(&format!("{folder}{file}"))?;
        io::copy(&mut packed, &mut fs::File::create(out.join(name))?)?;
    }
    Ok(())
}
