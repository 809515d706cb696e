//! Builds anew when a migration is added: the binary has them all in it.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
