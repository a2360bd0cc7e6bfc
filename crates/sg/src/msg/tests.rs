//! Every message survives the wire; damaged ones are errors that name the field.

use kvalue::{Dict, Sym, Value};
use qipc::{Limits, Raw};

use super::*;
use crate::{
    Corr, InstanceId, LabelSet, PortionId, Purview, TimeRange,
    codes::{Ac, Rc},
};

fn over_the_wire(msg: &Msg) -> Result<Msg, MsgError> {
    let frame = msg.to_frame().0.concat();
    let object = bytes::Bytes::from(frame).slice(8..);
    qipc::decode(object.clone(), &Limits::internal()).expect("a frame is a valid q object");
    Msg::decode(&Raw(object))
}

fn portions() -> Vec<PlannedPortion> {
    (0..3)
        .map(|i| PlannedPortion {
            id: PortionId(i),
            labels: LabelSet::parse("region=amer").unwrap(),
            table: "trade".into(),
            range: TimeRange::new(i64::from(i), i64::from(i) + 1).unwrap(),
        })
        .collect()
}

/// All that RCs tell each other of replicas.
fn purviews() -> Msg {
    let purview = Purview {
        name: "hdb-0".into(),
        instance: InstanceId::random(),
        epoch: 3,
        source: "abc".into(),
        assembly: "fin".into(),
        labels: LabelSet::parse("region=amer").unwrap(),
        tier: "hdb".into(),
        version: 7,
        tables: vec![],
        apis: crate::api::builtin(),
        capacity: 2,
    };
    MeshPurviews {
        base: 0,
        version: 9,
        complete: false,
        ready: true,
        leaving: false,
        started: 5,
        replicas: vec![MeshReplica {
            group: 2,
            available: true,
            address: "h:5080".into(),
            purview: purview.clone(),
        }],
        gone: vec!["hdb-1".into(), "hdb-2".into()],
        lost: vec![MeshLost { age: 11, purview }],
        aggs: vec![MeshAgg { name: "agg-0".into(), address: "h:5060".into() }],
    }
    .into()
}

fn lone_run(opts: &Raw, args: &Raw) -> Run {
    Run {
        corr: Corr::random(),
        attempt: 0,
        portion: PortionId(0),
        epoch: 1,
        left: 5,
        api: ".kxi.getMeta".into(),
        table: "".into(),
        labels: LabelSet::default(),
        range: TimeRange::ALL,
        version: 3,
        agg: "127.0.0.1:5060".into(),
        lone: Some(Collector { rc: InstanceId::random(), agg_fn: "g".into(), gw: "h:1".into() }),
        opts: opts.clone(),
        args: args.clone(),
    }
}

fn lone_partial(opts: &Raw, args: &Raw) -> Partial {
    let lone = LonePlan {
        rc: InstanceId::random(),
        left: 7,
        api: "f".into(),
        agg_fn: "g".into(),
        gw: "h:1".into(),
        labels: LabelSet::parse("a=1").unwrap(),
        opts: opts.clone(),
        args: args.clone(),
    };
    Partial {
        corr: Corr::random(),
        attempt: 0,
        portion: PortionId(0),
        rc: Rc::OK,
        ac: Ac::OK,
        ai: String::new(),
        extra: opts.clone(),
        lone: Some(Box::new(lone)),
        payload: Payload::empty(),
    }
}

fn samples() -> Vec<Msg> {
    let (corr, attempt, portion) = (Corr::random(), 2, PortionId(7));
    let opts = Raw::of(&Dict::of([("logCorr", Value::str("x"))]).into());
    let args = Raw::of(&Value::empty_dict());
    let big = bytes::Bytes::from(vec![7u8; 100_000]);
    let payload = {
        let mut head = vec![4u8, 0];
        head.extend((big.len() as u32).to_le_bytes());
        Payload(vec![head.into(), big.clone()])
    };
    vec![
        Heartbeat { seq: 1 }.into(),
        Got { corr, attempt, portion }.into(),
        Answered { corr, attempt, rc: Rc::OK, ai: String::new(), took: 7, bytes: 9 }.into(),
        Undelivered {
            corrs: vec![corr, Corr::random()],
            attempts: vec![attempt, 0],
            rc: Rc::CONN,
            ac: Ac::CONN,
            ai: "the link was lost".into(),
        }
        .into(),
        Undelivered { corrs: vec![], attempts: vec![], rc: Rc::CONN, ac: Ac::CONN, ai: String::new() }.into(),
        Stale { corr, attempt, portions: vec![portion, PortionId(0)], vintage: 9 }.into(),
        Stale { corr, attempt, portions: vec![], vintage: -i64::MAX }.into(),
        RegisterAgg { agg_fns: crate::api::builtin(), outstanding: 0 }.into(),
        Run {
            corr,
            attempt,
            portion,
            epoch: 1,
            left: 5_000_000,
            api: ".kxi.getData".into(),
            table: "trade".into(),
            labels: LabelSet::parse("a=1,b=2").unwrap(),
            range: TimeRange::ALL,
            version: 3,
            agg: "127.0.0.1:5060".into(),
            lone: None,
            opts: opts.clone(),
            args: args.clone(),
        }
        .into(),
        lone_run(&opts, &args).into(),
        lone_partial(&opts, &args).into(),
        Plan {
            corr,
            attempt,
            epoch: 0,
            left: 1,
            api: "f".into(),
            agg_fn: "g".into(),
            gw: "h:1".into(),
            opts: opts.clone(),
            args,
            portions: portions(),
        }
        .into(),
        Replace { corr, attempt, epoch: 1, old: portion, new: vec![] }.into(),
        Partial {
            corr,
            attempt,
            portion,
            rc: Rc::OK,
            ac: Ac::OK,
            ai: "é".into(),
            extra: opts,
            lone: None,
            payload,
        }
        .into(),
        purviews(),
        MeshPurviews {
            base: 3,
            version: 4,
            complete: true,
            ready: false,
            leaving: true,
            started: 7,
            replicas: vec![],
            gone: vec![],
            lost: vec![],
            aggs: vec![],
        }
        .into(),
        MeshIdle { groups: vec![1, 9], idle: vec![0, 2] }.into(),
        MeshIdle { groups: vec![], idle: vec![] }.into(),
        MeshDemand {
            rows: vec![Demand {
                group: 4,
                api: ".kxi.getData".into(),
                dap: Sym::null(),
                waiting: 2,
                user: "ann".into(),
                vtime: 1_000_000,
                floor: 900_000,
                priority: -1,
                waited: 5,
            }],
        }
        .into(),
        GiveUp { corr, attempt, missing: portions(), declared: true }.into(),
        AnswerData { corr, attempt, offset: 9, chunk: Chunk(vec![big]) }.into(),
    ]
}

#[test]
fn messages_survive_the_wire() {
    for msg in samples() {
        assert_eq!(over_the_wire(&msg).unwrap(), msg);
    }
}

#[test]
fn cut_or_changed_bytes_are_taken_apart_without_harm() {
    for msg in samples() {
        let whole = bytes::Bytes::from(msg.to_frame().0.concat()).slice(8..);
        // What only passes through at a message's end is not looked at.
        let ends_unseen = matches!(msg, Msg::Run(_) | Msg::Plan(_) | Msg::Partial(_) | Msg::AnswerData(_));
        for cut in (0..whole.len()).take(600) {
            let short = Msg::decode(&Raw(whole.slice(..cut)));
            assert!(short.is_err() || ends_unseen, "{} cut at {cut}", msg.name());
            for bit in 0..8 {
                let mut changed = whole.to_vec();
                changed[cut] ^= 1 << bit;
                let _ = Msg::decode(&Raw(changed.into()));
            }
        }
    }
}

#[test]
fn large_payloads_are_shared_not_copied() {
    let big = bytes::Bytes::from(vec![0u8; 1 << 20]);
    let at = big.as_ptr();
    let msg: Msg = AnswerData { corr: Corr::random(), attempt: 0, offset: 0, chunk: Chunk(vec![big]) }.into();
    assert!(msg.to_frame().0.iter().any(|segment| segment.as_ptr() == at));
}

#[test]
fn a_wrong_field_is_named() {
    let list = Value::list([Value::sym(".qm.got"), Value::from(1i64)]);
    let err = Msg::decode(&Raw::of(&list)).unwrap_err();
    assert_eq!(err.to_string(), "internal message `.qm.got`: field corr: type -7 where -2 is needed");
    let short = Msg::decode(&Raw::of(&Value::list([Value::sym(".qm.got")]))).unwrap_err();
    assert_eq!(short, MsgError::Missing { name: ".qm.got", field: "corr" });
    let unknown = Msg::decode(&Raw::of(&Value::syms([".qm.nonsense"]))).unwrap_err();
    assert!(matches!(unknown, MsgError::Unknown { .. } | MsgError::NotAMessage), "{unknown}");
}

#[test]
fn what_goes_with_the_only_portion_is_read_whole_or_refused() {
    let (opts, args) = (Raw::of(&Value::empty_dict()), Raw::of(&Value::empty_dict()));
    let good = bytes::Bytes::from(Msg::from(lone_run(&opts, &args)).to_frame().0.concat()).slice(8..);
    let good = qipc::decode(good, &Limits::internal()).unwrap();
    let at = 12;
    let with = |lone: Value| {
        let mut items: Vec<Value> = (0..good.count()).map(|i| good.index(i)).collect();
        items[at] = lone;
        Msg::decode(&Raw::of(&Value::list(items)))
    };
    let says = |lone: Value| with(lone).unwrap_err().to_string();
    let guid = || Value::Atom(kvalue::Atom::Guid([1; 16]));
    assert!(with(Value::list([guid(), Value::sym("g"), Value::sym("h:1")])).is_ok());
    assert!(says(Value::sym("x")).ends_with("field lone: not a list"), "{}", says(Value::sym("x")));
    let short = Value::list([guid(), Value::sym("g")]);
    assert!(says(short.clone()).contains("lacks its field gw"), "{}", says(short));
    let wrong = Value::list([Value::from(1i64), Value::sym("g"), Value::sym("h:1")]);
    assert!(says(wrong.clone()).contains("field rc: type -7 where -2 is needed"), "{}", says(wrong));
    // A later version may say more.
    let more = Value::list([guid(), Value::sym("g"), Value::sym("h:1"), Value::from(1i64)]);
    assert!(with(more).is_ok());
}

#[test]
fn names_are_distinct() {
    let mut names: Vec<_> = Msg::SHAPES.iter().map(|(n, _)| n).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Msg::SHAPES.len());
}

#[test]
fn a_damaged_row_is_named() {
    let rows = Value::list([Value::list([Value::from(1i64), Value::from(2i64)])]);
    let list = Value::list([Value::sym(".qm.mesh.demand"), rows]);
    let err = Msg::decode(&Raw::of(&list)).unwrap_err();
    assert!(err.to_string().contains("field rows: entry 0 is not (group; api;"), "{err}");
}
