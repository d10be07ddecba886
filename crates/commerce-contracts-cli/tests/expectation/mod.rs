//! Printed text, compared with a file in the repository.

use std::path::Path;

/// `EXPECT=overwrite` writes the file instead; the change is then reviewed like any other.
pub(crate) fn expect(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(file);
    let text = format!("{}\n", text.trim_end());
    if std::env::var("EXPECT").is_ok_and(|value| value == "overwrite") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()));
    assert!(
        text == expected,
        "{file} has another text.\n--- expected\n{expected}\n--- printed\n{text}\n(EXPECT=overwrite records what is printed)"
    );
}
