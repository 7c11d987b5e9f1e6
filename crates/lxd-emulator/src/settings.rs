//! What a builder was told, checked before anything is made of it.

use std::{collections::BTreeSet, io};

use lxd_types::drivers;

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Members are named as hosts are; their names are parts of paths.
pub(crate) fn check_members(members: &[String]) -> io::Result<()> {
    let mut seen = BTreeSet::new();
    for member in members {
        let fits = member.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let framed = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !fits || !framed(member.bytes().next()) || !framed(member.bytes().last()) {
            return Err(refused(format!(
                "{member:?} cannot be the name of a member; it has letters, digits, - and ., and begins and ends with \
                 a letter or a digit"
            )));
        }
        if member == crate::core::ALONE {
            return Err(refused(format!(
                "{member:?} cannot be the name of a member; a server alone is named so"
            )));
        }
        if !seen.insert(member) {
            return Err(refused(format!(
                "there are two members named {member:?}; each needs a name of its own"
            )));
        }
    }
    Ok(())
}

/// Only drivers that servers have.
pub(crate) fn check_drivers(wanted: &[String]) -> io::Result<()> {
    match wanted.iter().find(|name| drivers::find(name).is_none()) {
        None => Ok(()),
        Some(unknown) => {
            let known: Vec<&str> = drivers::all().map(|driver| driver.name).collect();
            Err(refused(format!("there is no storage driver {unknown:?}, only {}", known.join(", "))))
        }
    }
}

/// A folder goes on with the members that it was made for. Where none are named, those are meant.
pub(crate) fn check_same_members(wanted: &[String], kept: &[String]) -> io::Result<()> {
    if wanted.is_empty() || wanted == kept {
        return Ok(());
    }
    let has = match kept {
        [] => "belongs to a server alone".to_owned(),
        _ => format!("belongs to a cluster of the members {}", kept.join(", ")),
    };
    Err(refused(format!("{has}, and not of {}; name the same ones, or another folder", wanted.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_as_hosts() {
        let check =
            |names: &[&str]| check_members(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for good in [&[][..], &["a"], &["node-1", "node-2.example.org", "3"]] {
            check(good).unwrap();
        }
        for bad in
            [&[""][..], &["."], &[".."], &["../../x"], &["a b"], &["-a"], &["a."], &["none"], &["a", "a"]]
        {
            let refused = check(bad).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{bad:?}: {refused}");
        }
    }
}
