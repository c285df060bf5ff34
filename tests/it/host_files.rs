//! The files of `src/host/`, each used as it lies there: by the program that it is made for, in
//! namespaces of its own, in which the files of the machine can be overlaid.
//!
//! **Invariants**
//! - A test in a namespace is a test of its own, which is ignored. The one that tests count starts
//!   it by `unshare`: so whatever it has started ends with it, and no port is taken from others.
//!
//! The promises of the protocol are not known here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(all(feature = "tls", feature = "auth"))]
mod logins;
#[cfg(feature = "tls")]
mod proxies;
mod watch;

/// Returns the path of a file for hosts.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host").join(name)
}

/// Runs an ignored test of this program, of this name, in namespaces of its own.
#[track_caller]
pub fn run_in_namespaces(test: &str) {
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--"])
        .arg(std::env::current_exe().expect("it runs"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("unshare").success(), "{test} failed in its namespaces");
}

/// Makes this a machine of its own: a loopback, folders that are overlaid, and an empty `/run`.
pub fn begin_machine() {
    shell(
        "ip link set lo up
        ip address add 203.0.113.7/32 dev lo
        mount -t tmpfs tmpfs /mnt
        for folder in etc usr/bin var; do
            mkdir -p /mnt/$folder/new /mnt/$folder/work
            mount -t overlay overlay /$folder \\
                -o lowerdir=/$folder,upperdir=/mnt/$folder/new,workdir=/mnt/$folder/work
        done
        mount -t tmpfs tmpfs /run
        mkdir -p /run/lock",
    );
}

/// Runs commands of a shell, of which each must succeed.
/// `$FILES` is the folder of the files for hosts, and `$SOTTO` the program.
#[track_caller]
pub fn shell(commands: &str) {
    let output = Command::new("bash")
        .args(["-euc", commands])
        .env("FILES", file(""))
        .env("SOTTO", env!("CARGO_BIN_EXE_sotto"))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{commands}: {output:?}");
}

#[test]
#[cfg(all(feature = "tls", feature = "store"))]
fn units_are_accepted_by_systemd() {
    run_in_namespaces("host_files::units_in_their_place");
}

#[test]
#[cfg(all(feature = "tls", feature = "store"))]
#[ignore = "it needs namespaces: units_are_accepted_by_systemd starts it"]
fn units_in_their_place() {
    begin_machine();
    shell(
        "cp $SOTTO /usr/bin/sotto
        cp $FILES/debian/sotto.service $FILES/debian/examples/sotto.socket /etc/systemd/system/
        cp $FILES/debian/sotto.default /etc/default/sotto
        systemd-analyze verify /etc/systemd/system/sotto.{service,socket}
        # Each line of the default file names an option; some of its files are not there.
        sed 's/^#SOTTO/SOTTO/' /etc/default/sotto >/run/all
        ! env -i $(grep ^SOTTO_ /run/all) /usr/bin/sotto --check 2>/run/said
        grep -q -e '--tls-cert\\|--password-file\\|PASSWORD_FILE' /run/said
        install -d /var/lib/sotto
        env -i $(grep ^SOTTO_ /etc/default/sotto) /usr/bin/sotto --check",
    );
}
