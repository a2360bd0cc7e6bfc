//! A data process, by the rules of the real one: it obeys its latest owner, refuses what was planned on
//! another purview version, runs on a snapshot, says `done` and `idle`.

use std::collections::BTreeMap;

use kvalue::Sym;
use sg::{
    Ac, Api, Corr, InstanceId, LabelSet, PortionId, Purview, Rc, TimeRange,
    msg::{Done, Run, Running},
    purview::{TableKind, TablePurview},
};

pub(crate) type Key = (Corr, i32, PortionId);

/// What a portion will bring: instants of one label set, fixed when it starts.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub run: Run,
    pub held: Option<TimeRange>,
    pub cancelled: bool,
}

#[derive(Debug)]
pub(crate) struct Dap {
    pub name: Sym,
    pub alive: bool,
    pub instance: InstanceId,
    pub labels: LabelSet,
    pub tier: Sym,
    pub capacity: u32,
    pub range: TimeRange,
    pub version: i64,
    /// start of what is in memory: moves only when the leases on older versions have ended
    pub purged: i64,
    pub epoch: i64,
    pub link: Option<u64>,
    pub running: BTreeMap<Key, Work>,
    /// counts lives, so that what a dead process had planned does not happen
    pub life: u64,
    pub slow: u64,
}

/// The API that may run only once.
pub(crate) const ONCE: &str = ".custom.once";

fn once() -> Api {
    let value = kvalue::Value::sym(ONCE);
    Api::from_value(&value).expect("a bare name registers")
}

impl Dap {
    pub(crate) fn source(&self) -> Sym {
        format!("{}-{}", self.tier, self.labels).into()
    }

    pub(crate) fn purview(&self) -> Purview {
        let mut apis = sg::api::builtin();
        apis.push(once());
        Purview {
            name: self.name.clone(),
            instance: self.instance,
            epoch: self.epoch,
            source: self.source(),
            assembly: Sym::null(),
            labels: self.labels.clone(),
            tier: self.tier.clone(),
            version: self.version,
            tables: vec![TablePurview {
                name: "trade".into(),
                kind: TableKind::Partitioned,
                range: self.range,
                cuts: (self.range.start() / 10 + 1..self.range.end().min(2_000) / 10)
                    .map(|d| d * 10)
                    .collect(),
                time_column: "time".into(),
                columns: Vec::new(),
            }],
            apis,
            capacity: self.capacity,
        }
    }

    /// A link to a coordinator is up: it is the owner from now on.
    pub(crate) fn owned_by(&mut self, link: u64) -> Vec<Running> {
        self.epoch += 1;
        self.link = Some(link);
        self.running.keys().map(|&(corr, attempt, portion)| Running { corr, attempt, portion }).collect()
    }

    /// Takes an order; the refusal where it does not.
    pub(crate) fn order(&mut self, link: u64, run: Run) -> Result<(), Done> {
        let refuse = |rc, ac| Done {
            corr: run.corr,
            attempt: run.attempt,
            portion: run.portion,
            rc,
            ac,
            ai: "refused".into(),
            version: self.version,
        };
        if self.link != Some(link) || run.epoch != self.epoch {
            return Err(refuse(Rc::CONN, Ac::CONN));
        }
        if run.version != self.version {
            return Err(refuse(Rc::APP_RETRY2, Ac::NOT_READY));
        }
        if self.running.len() >= self.capacity as usize {
            return Err(refuse(Rc::QUEUE, Ac::NOT_READY));
        }
        // What it has, purged or not, that the portion asks for.
        let has = TimeRange::new(self.purged, self.range.end()).expect("not backwards");
        let held = has.intersect(run.range);
        let key = (run.corr, run.attempt, run.portion);
        let before = self.running.insert(key, Work { run, held, cancelled: false });
        assert!(before.is_none(), "{} was given {key:?} while it runs it", self.name);
        Ok(())
    }

    pub(crate) fn slots(&self) -> i32 {
        self.capacity as i32 - self.running.len() as i32
    }
}
