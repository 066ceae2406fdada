//! Policies are embedded: when one changes, the crate is built again.

fn main() {
    println!("cargo:rerun-if-changed=policies");
}
