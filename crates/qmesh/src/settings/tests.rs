//! Variables × values × roles: what is refused, and what is not.

use sg::config::{Env, Kind, Var, common, safety};

use super::{known, misspelt};

/// A role: its name, its variables, and how it starts.
type Start = fn(&Env) -> Result<(), String>;
const ROLES: [(&str, &[&Var], Start); 4] = [
    ("gateway", gateway::config::VARS, |env| {
        gateway::Options::from_env(env).map(drop).map_err(|e| e.to_string())
    }),
    ("coordinator", coordinator::config::VARS, |env| {
        coordinator::Options::from_env(env).map(drop).map_err(|e| e.to_string())
    }),
    ("aggregator", aggregator::config::VARS, |env| {
        aggregator::Options::from_env(env).map(drop).map_err(|e| e.to_string())
    }),
    ("data-access", data_access::config::VARS, |env| {
        data_access::Options::all(env).map(drop).map_err(|e| e.to_string())
    }),
];

fn env(name: &str, value: &str) -> Env {
    let rc = (common::RC_ADDR.name, "rc:5050");
    Env::of([rc].into_iter().filter(|(n, _)| *n != name).chain([(name, value)]))
}

/// The name of a variable, for a family one of its names.
fn name_of(var: &Var) -> String {
    var.name.replace("<name>", "db")
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    /// A text of characters that people and templates leave in settings.
    fn junk(&mut self) -> String {
        const OF: &[u8] = b"abxyzNW0129+-.,:;/\\$%{}[]()<>='\"`!@#&*?|~_ \t";
        let text: String = (0..=self.roll(12)).map(|_| char::from(OF[self.roll(OF.len())])).collect();
        text.trim().to_string()
    }
}

/// Whether a text is of a kind, judged without the code that is tested; `None` where any text is.
fn is_of(kind: Kind, text: &str) -> Option<bool> {
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let small = |t: &str, most: u128| digits(t) && t.parse::<u128>().is_ok_and(|n| n <= most);
    Some(match kind {
        Kind::Port => small(text, 65535),
        Kind::Millis => small(text, 36_500 * 24 * 3600 * 1000),
        Kind::Count => small(text, u64::MAX.into()),
        Kind::Bytes => {
            // Junk of this test has no unit of bytes but in capitals that are no digits.
            let number = text.trim_end_matches(['K', 'M', 'G', 'k', 'm', 'g', 'B', 'b', 'i', 'I']).trim();
            small(number, u64::MAX.into())
        }
        Kind::Flag => {
            ["true", "false", "1", "0", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str())
        }
        Kind::OneOf(words) => words.contains(&text),
        Kind::Address | Kind::Addresses | Kind::Host => return None,
        Kind::Text | Kind::List | Kind::Path => return None,
    })
}

#[test]
fn a_value_that_is_not_of_its_variables_kind_stops_every_role() {
    const FIXED: [&str; 12] = [
        "x",
        "-1",
        "1.5",
        "0x10",
        "1e9",
        "TRUE!",
        "99999999999999999999999999",
        "${PORT}",
        "none",
        "5 s",
        "+1",
        "١",
    ];
    let (mut dice, mut refused) = (Dice(14), 0);
    for (role, vars, start) in ROLES {
        for var in [vars, common::VARS, link::VARS].concat() {
            let name = name_of(var);
            let junk: Vec<String> =
                FIXED.iter().map(|j| j.to_string()).chain((0..12).map(|_| dice.junk())).collect();
            for value in junk.iter().filter(|v| is_of(var.kind, v) == Some(false)).filter(|v| !v.is_empty()) {
                let said = start(&env(&name, value)).expect_err(&format!("{role} takes {name}={value}"));
                assert!(said.contains(&name) && said.contains("expected"), "{role} {name}={value}: {said}");
                assert_eq!(said.contains(value.as_str()), !var.secret, "{role} {name}={value}: {said}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 1000, "{refused}");
}

#[test]
fn defaults_and_empty_values_start_every_role() {
    for (role, vars, start) in ROLES {
        for var in [vars, common::VARS, link::VARS].concat() {
            let name = name_of(var);
            for value in ["", "  ", var.default] {
                // The one that there must be.
                if name != common::RC_ADDR.name {
                    assert_eq!(start(&env(&name, value)), Ok(()), "{role} {name}=`{value}`");
                }
            }
        }
    }
}

#[test]
fn an_address_that_cannot_be_dialled_stops_every_role_that_dials_it() {
    let wrong =
        ["nohost", "a:b:c", "rc:99999", "rc:", ":5050", "rc:0", "http://rc:80", "10.1.1.999:1", "rc:5050,b"];
    for (role, vars, start) in ROLES {
        for var in vars.iter().filter(|v| matches!(v.kind, Kind::Address | Kind::Addresses)) {
            let name = name_of(var);
            for value in wrong {
                let said = start(&env(&name, value)).expect_err(&format!("{role} takes {name}={value}"));
                assert!(said.contains(&name) && said.contains(value) && said.contains("host:port"), "{said}");
            }
            assert_eq!(start(&env(&name, "name.that.comes.later:5050")), Ok(()), "{role} {name}");
        }
    }
}

/// Variables × values × roles: what asks for a protection is refused wherever it is set.
#[test]
fn settings_for_safety_are_refused_by_every_role() {
    let (mut dice, mut cases) = (Dice(8), 0);
    let others = [
        "KXI_SG_KEYSTORE_TYPE",
        "KXI_SG_AUTH_IPC_TIMEOUT",
        "KXI_SG_AUTH_HTTP_TIMEOUT",
        "KXI_SG_TLS_CERT",
        "KXI_TLS_MODE",
        "KXI_SG_TRUSTSTORE",
        "KX_SSL_OPTIONS",
        "KXI_ENTITLEMENTS_ENABLED",
        "KXI_SG_USE_SLL",
        "KXI_SECURE_ENABELD",
        "KXI_SG_KEYSTOR",
        "KXI_OIDC_JSON_PAHT",
    ];
    for (role, _, start) in ROLES {
        for guard in safety::GUARDS {
            let name = guard.var.name;
            let junk: Vec<String> = (0..12).map(|_| dice.junk()).filter(|j| !j.is_empty()).collect();
            for value in ["true", "1", "yes", "false", "0", "no", "/etc/x", "localhost", "x"]
                .map(String::from)
                .iter()
                .chain(&junk)
            {
                let fine = matches!(
                    (guard.harmless, value.as_str()),
                    (safety::Harmless::Off, "false" | "0" | "no")
                        | (safety::Harmless::On, "true" | "1" | "yes")
                );
                let said = start(&env(name, value));
                cases += 1;
                match said {
                    Ok(()) => assert!(fine, "{role} takes {name}={value}"),
                    Err(said) => {
                        assert!(!fine, "{role} {name}={value}: {said}");
                        assert!(said.contains(name) && said.contains("less safe than asked"), "{said}");
                        assert!(!guard.var.secret || !said.contains(&format!("`{value}`")), "{said}");
                    }
                }
            }
        }
        for name in others {
            let said = start(&env(name, "on")).expect_err(&format!("{role} takes {name}"));
            assert!(said.contains(name) && said.contains("less safe than asked"), "{said}");
            cases += 1;
        }
    }
    assert!(cases >= 1000, "{cases}");
}

#[test]
fn what_compose_files_of_kx_set_starts_every_role_it_is_for() {
    let all = [
        ("KXDB_ENABLED", "true"),
        ("KXI_LOG_LEVELS", "default:trace"),
        ("KXI_SCHEMA_OWNERSHIP", "internal"),
        ("KXI_SECURE_ENABLED", "false"),
        ("KXI_LATE_DATA", "true"),
        ("KXI_LOG_FORMAT", "text"),
        ("KXI_NAME", "x"),
        ("KXI_SG_RC_ADDR", "kx-db-rc:5050"),
        ("KDB_LICENSE_B64", ""),
        ("KDB_K4LICENSE_B64", "Zm9v"),
        ("KXI_CUSTOM_FILE", ""),
        ("KXI_SG_SM_ADDR_db", "kx-db-sm:20001"),
        ("KXI_SCOPE_AFFINITY", "soft"),
        ("KXI_SM_ADDR", "kx-db-sm:20001"),
        ("RT_LOG_PATH", "/logs/da"),
        ("RT_TOPIC_PREFIX", "rt-"),
        ("RT_REPLICAS", "1"),
        ("KXI_SC", "dap"),
        ("KXI_ALLOWED_SBX_APIS", ".kxi.sql,.kxi.qsql"),
        ("KXI_DA_START_SIDECARS", "true"),
        ("USE_SP_WATCHER", "1"),
        ("KXI_PACKAGES", "custom:1.0.0"),
        ("KX_PACKAGE_PATH", "/opt/kx/packages"),
        ("KXI_SG_METRICS_PORT", "81"),
        ("KXI_CONFIG_FILE", "/sidecar-cfg/da-config.json"),
        ("KXI_RT_SM_LOG_PATH", "/mnt/logs/sm"),
    ];
    let env = Env::of(all);
    for (role, _, start) in ROLES {
        assert_eq!(start(&env), Ok(()), "{role}");
    }
    assert_eq!(misspelt(&env), Vec::<String>::new());
}

#[test]
fn variables_of_other_processes_are_known_and_slips_are_found() {
    for var in known() {
        assert_eq!(misspelt(&Env::of([(name_of(var), "1")])), Vec::<String>::new(), "{}", var.name);
    }
    let said = |name: &str| misspelt(&Env::of([(name, "5040")])).join("; ");
    assert!(said("GATEWAY_QPIC_PORT").contains("is it to be GATEWAY_QIPC_PORT?"));
    // A slip in any name: one letter left out, doubled, or exchanged with the next.
    let mut dice = Dice(13);
    let (mut slips, mut found) = (0, 0);
    let shared = |v: &&Var| v.name.starts_with("SSL_") || v.name.starts_with("KX_SSL_");
    for var in known().into_iter().filter(|v| v.name.len() >= 8 && !v.name.contains('<') && !shared(v)) {
        for _ in 0..10 {
            let mut letters: Vec<char> = var.name.chars().collect();
            let at = 1 + dice.roll(letters.len() - 2);
            match dice.roll(3) {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, letters[at]),
                _ => letters.swap(at, at - 1),
            }
            let slip: String = letters.into_iter().collect();
            // Some slips are the name of another, or belong to no family of ours any more.
            if known().iter().any(|v| v.is_named(&slip)) {
                continue;
            }
            slips += 1;
            found += usize::from(said(&slip).contains(&slip));
        }
    }
    assert!(slips >= 1000 && found == slips, "{found} of {slips} found");
    assert_eq!(
        misspelt(&Env::of([
            ("PATH", "x"),
            ("HOME", "x"),
            ("LANG", "C"),
            ("SSL_CERT_FILE", "/etc/ssl/ca.pem"),
            ("NIX_SSL_CERT_FILE", "/etc/ssl/ca.pem"),
            ("JAVA_HOME", "/jdk"),
            ("HTTP_PORT", "80"),
            ("KXI_RC_SERVICE_HOST", "10.0.0.1")
        ])),
        Vec::<String>::new()
    );
}
