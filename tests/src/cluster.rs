//! Daemons that form one cluster.

use std::fs;

use crate::{
    daemon::Daemon,
    starting::{Starting, new_identity, new_pools},
};

/// Joins started daemons to one cluster, the first of them as the one that founds it, and gives it pools.
pub(crate) fn set_up(members: Vec<Starting>) -> Result<Vec<Daemon>, String> {
    for member in &members {
        member.wait_ready().map_err(|error| member.explain(&error))?;
    }
    let Some((first, others)) = members.split_first() else { return Ok(Vec::new()) };
    let identity = new_identity()?;
    let found = || {
        let url = first.listen()?;
        first.client(&["cluster", "enable", first.slot.name()])?;
        first.trust(&identity)?;
        Ok(url)
    };
    let mut urls = vec![found().map_err(|error: String| first.explain(&error))?];
    for member in others {
        let url = join(first, member).map_err(|error| member.explain(&error))?;
        urls.push(url);
    }
    // A pool wants what each member has of it before it is made.
    let pools = new_pools(first.slot, |arguments| {
        let (global, local): (Vec<&str>, Vec<&str>) =
            arguments.iter().copied().partition(|argument| !argument.starts_with("size="));
        for member in &members {
            let target = format!("--target={}", member.slot.name());
            first.client(&[&global, &local, &[&*target][..]].concat())?;
        }
        first.client(&global)
    });
    let pools = pools.map_err(|error| first.explain(&error))?;
    let certificate = fs::read_to_string(first.dir.join("cluster.crt"))
        .map_err(|error| format!("cannot read the cluster's certificate: {error}"))?;
    let mut daemons = Vec::new();
    for (member, https_url) in members.into_iter().zip(urls) {
        let unready = member.unready().ok_or_else(|| member.explain("it ended"))?;
        let (certificate, identity, pools) = (certificate.clone(), identity.clone(), pools.clone());
        daemons.push(member.hand_over(Daemon { https_url, certificate, identity, pools, ..unready }));
    }
    Ok(daemons)
}

fn join(first: &Starting, member: &Starting) -> Result<String, String> {
    let said = first.client(&["cluster", "add", member.slot.name()])?;
    let token = said.split_whitespace().last().ok_or("no join token")?;
    let address = member.free_address()?;
    let wanted = format!(
        "cluster:\n  enabled: true\n  server_name: {}\n  server_address: {address}\n  cluster_token: {token}\n",
        member.slot.name()
    );
    member.run("lxd", &["init", "--preseed"], &wanted)?;
    Ok(format!("https://{address}"))
}
