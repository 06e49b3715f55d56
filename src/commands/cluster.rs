//! CLUSTER and its kind: the face of a server without cluster mode. Each answers that there is
//! none, after the checks of subcommand and arity, as Redis does with `cluster-enabled no`.

use super::command::{Group::Cluster, NO_KEYS, at_least, command, container, exactly};
use super::{Args, Category, Command, Context, Failure, Flag::*, Handled};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command("ASKING", disabled, exactly(1), &[Fast], NO_KEYS, Cluster)
        .categories(&[Category::Connection])
        .docs("3.0.0", "O(1)", "", "Asks for a slot that moves to this node."),
    container("CLUSTER", SUBCOMMANDS, Cluster)
        .docs("3.0.0", "Depends on the subcommand.", "", "Shows and changes a cluster; this server is in none."),
    command("READONLY", disabled, exactly(1), &[Loading, Stale, Fast], NO_KEYS, Cluster)
        .categories(&[Category::Connection])
        .docs("3.0.0", "O(1)", "", "Allows reads from a replica of a cluster."),
    command("READWRITE", disabled, exactly(1), &[Loading, Stale, Fast], NO_KEYS, Cluster)
        .categories(&[Category::Connection])
        .docs("3.0.0", "O(1)", "", "Ends READONLY."),
];

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    command("ADDSLOTS", disabled, at_least(3), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(N) in the number of slots", "slot [slot ...]", "Gives slots to this node."),
    command("ADDSLOTSRANGE", disabled, at_least(4), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("7.0.0", "O(N) in the number of slots", "start-slot end-slot [start-slot end-slot ...]", "Gives ranges of slots to this node."),
    command("BUMPEPOCH", disabled, exactly(2), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(1)", "", "Advances the configuration epoch."),
    command("COUNT-FAILURE-REPORTS", disabled, exactly(3), &[Admin, Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(N) in the number of reports", "node-id", "Counts the reports that a node has failed."),
    command("COUNTKEYSINSLOT", disabled, exactly(3), &[Stale], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "slot", "Counts the keys of a slot."),
    command("DELSLOTS", disabled, at_least(3), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(N) in the number of slots", "slot [slot ...]", "Takes slots from this node."),
    command("DELSLOTSRANGE", disabled, at_least(4), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("7.0.0", "O(N) in the number of slots", "start-slot end-slot [start-slot end-slot ...]", "Takes ranges of slots from this node."),
    command("FAILOVER", disabled, at_least(2), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "[FORCE | TAKEOVER]", "Makes a replica the master of its slots."),
    command("FLUSHSLOTS", disabled, exactly(2), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "", "Takes all slots from this node."),
    command("FORGET", disabled, exactly(3), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "node-id", "Removes a node from those that this one knows."),
    command("GETKEYSINSLOT", disabled, exactly(4), &[Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(N) in the number of keys asked for", "slot count", "Gives names of keys of a slot."),
    command("HELP", disabled, exactly(2), &[Loading, Stale], NO_KEYS, Cluster)
        .docs("5.0.0", "O(1)", "", "Lists the subcommands."),
    command("INFO", disabled, exactly(2), &[Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(1)", "", "Gives the state of the cluster."),
    command("KEYSLOT", disabled, exactly(3), &[Stale], NO_KEYS, Cluster)
        .docs("3.0.0", "O(N) in the length of the key", "key", "Gives the slot of a key."),
    command("LINKS", disabled, exactly(2), &[Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("7.0.0", "O(N) in the number of nodes", "", "Lists the connections to other nodes."),
    command("MEET", disabled, at_least(4), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "ip port [cluster_bus_port]", "Introduces another node."),
    command("MYID", disabled, exactly(2), &[Stale], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "", "Gives this node's id."),
    command("NODES", disabled, exactly(2), &[Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(N) in the number of nodes", "", "Lists the nodes with their slots."),
    command("REPLICAS", disabled, exactly(3), &[Admin, Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "O(1)", "node-id", "Lists the replicas of a node."),
    command("REPLICATE", disabled, exactly(3), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "node-id", "Makes this node a replica of another."),
    command("RESET", disabled, at_least(2), &[Admin, NoScript, Stale], NO_KEYS, Cluster)
        .docs("3.0.0", "O(N) in the number of known nodes", "[HARD | SOFT]", "Makes this node forget the cluster."),
    command("SAVECONFIG", disabled, exactly(2), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "", "Writes the cluster's state to disk."),
    command("SET-CONFIG-EPOCH", disabled, exactly(3), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "config-epoch", "Sets the epoch of a new node."),
    command("SETSLOT", disabled, at_least(4), &[Admin, Stale, NoAsyncLoading], NO_KEYS, Cluster)
        .docs("3.0.0", "O(1)", "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>", "Says which node has a slot, or where it moves."),
    command("SHARDS", disabled, exactly(2), &[Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("7.0.0", "O(N) in the number of nodes", "", "Lists the shards with their nodes."),
    command("SLAVES", disabled, exactly(3), &[Admin, Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(1)", "node-id", "The old name of CLUSTER REPLICAS."),
    command("SLOTS", disabled, exactly(2), &[Stale], NO_KEYS, Cluster)
        .tips(&["nondeterministic_output"])
        .docs("3.0.0", "O(N) in the number of nodes", "", "Lists the ranges of slots with their nodes."),
];

fn disabled(_: &mut Context<'_>, _: &Args<'_>) -> Handled {
    Err(Failure::err("This instance has cluster support disabled"))
}
