//! The variables of each role. `docs/configuration.md` has them all; a variable that the spec sets itself wins.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

use super::context::{AGG_PORT, Context, HTTP_PORT, RC_PORT};
use super::{memory, volumes};
use crate::expected;
use crate::names::Role;
use crate::spec::LogFormat;
use crate::validate::{coordinator_selector, data_access_selector};

pub(super) fn environment(cx: &Context<'_>, role: Role) -> Vec<EnvVar> {
    let mut env = Env(Vec::new());
    // The pod's own name: unique, and the one that `kubectl` shows.
    env.field("KXI_NAME", "metadata.name");
    env.field("QMESH_ADVERTISE", "status.podIP");
    common(cx, &mut env);
    match role {
        Role::Gateway => gateway(cx, &mut env),
        Role::Coordinator => coordinator(cx, &mut env),
        Role::Aggregator => aggregator(cx, &mut env),
    }
    for (name, text) in memory::variables(cx, role) {
        env.text(name, &text);
    }
    let own = &cx.spec.role(role).env;
    env.0.retain(|ours| own.iter().all(|theirs| theirs.name != ours.name));
    env.0.extend(own.iter().cloned());
    env.0
}

fn common(cx: &Context<'_>, env: &mut Env) {
    let spec = cx.spec;
    env.text(
        "KXI_LOG_FORMAT",
        match spec.logging.format {
            LogFormat::Json => "json",
            LogFormat::Text => "text",
        },
    );
    env.some("KXI_LOG_LEVELS", spec.logging.levels.as_ref());
    env.some("KXI_SG_TIMEOUT", spec.timeouts.request_ms);
    env.some("KXI_SG_CONN_TIMEOUT", spec.timeouts.connect_ms);
    env.some("KXI_SAPI_HB_FREQ", spec.heartbeat.period_ms);
    env.some("KXI_SAPI_HB_TOL", spec.heartbeat.tolerance);
    if cx.referenced.mesh_secret.is_some() {
        env.text("QMESH_SECRET_FILE", &volumes::mesh_secret_file());
    }
    if let Some(license) = &cx.referenced.license {
        let key = SecretKeySelector { name: license.name.clone(), key: license.key.clone(), optional: None };
        let source = EnvVarSource { secret_key_ref: Some(key), ..Default::default() };
        env.0.push(EnvVar { name: "KDB_LICENSE_B64".into(), value_from: Some(source), value: None });
    }
}

fn gateway(cx: &Context<'_>, env: &mut Env) {
    let spec = cx.spec;
    env.text("GATEWAY_QIPC_PORT", &spec.service.qipc_port.to_string());
    env.text("GATEWAY_HTTP_PORT", &spec.service.http_port.to_string());
    env.some("GATEWAY_EXT_QIPC_PORT", spec.service.external_qipc_port);
    env.some("KXI_SG_BUFFER_INITIAL", spec.buffers.initial.as_ref());
    env.some("KXI_SG_BUFFER_RETAIN", spec.buffers.retain.as_ref());
    if cx.reads_pods() {
        selectors(cx, env);
    } else {
        env.text("KXI_SG_RC_ADDR", &cx.coordinator_address());
    }
    let auth = spec.auth.as_ref();
    let keycloak = auth.and_then(|auth| auth.keycloak.as_ref());
    env.text("KXI_AUTH_DISABLED", if keycloak.is_some() { "0" } else { "1" });
    if keycloak.is_some() {
        env.some("KXI_OIDC_JSON_PATH", volumes::oidc_file(cx));
    }
    if let Some(ipc) = auth.and_then(|auth| auth.ipc.as_ref()) {
        env.text("KXI_SG_AUTH_IPC_HOST", &ipc.host);
        env.text("KXI_SG_AUTH_IPC_PORT", &ipc.port.to_string());
        env.text("KXI_SG_AUTH_IPC_USE_TLS", &ipc.use_tls.to_string());
        env.some("KXI_SG_AUTH_IPC_AUTH_API", ipc.api.as_ref());
    }
    if let Some(http) = auth.and_then(|auth| auth.http.as_ref()) {
        env.text("KXI_SG_AUTH_HTTP_ENDPOINT", &http.endpoint);
        if !http.headers.is_empty() {
            env.text("KXI_SG_AUTH_HTTP_HEADERS", &http.headers.join(","));
        }
    }
    if let Some((store, password)) = volumes::keystore_files(cx) {
        env.text("KXI_SG_USE_SSL", "1");
        env.text("KXI_SG_KEYSTORE", &store);
        env.text("KXI_SG_KEYSTORE_PASS_FILE", &password);
    }
    if let Some(cors) = &spec.cors {
        env.text("KXI_SG_CORS_ENABLED", "true");
        env.text("KXI_SG_CORS_ORIGINS", &cors.origins.join(","));
    }
}

fn coordinator(cx: &Context<'_>, env: &mut Env) {
    env.text("KXI_PORT", &RC_PORT.to_string());
    env.text("QMESH_HTTP_PORT", &HTTP_PORT.to_string());
    env.some("KXI_SG_MAX_RETRY", cx.spec.retries.max);
    let expected = &cx.spec.discovery.expected;
    // Kubernetes would put other variables in for $(…).
    let text = || expected::text(expected).replace('$', "$$");
    env.some("QMESH_RC_EXPECT", (!expected.is_empty()).then(text));
    if cx.reads_pods() {
        env.text("KXI_SG_DISC", "kubernetes");
        selectors(cx, env);
    }
}

fn aggregator(cx: &Context<'_>, env: &mut Env) {
    env.text("KXI_PORT", &AGG_PORT.to_string());
    env.text("QMESH_HTTP_PORT", &HTTP_PORT.to_string());
    env.text("KXI_SG_RC_ADDR", &cx.coordinator_address());
    env.some("KXI_CUSTOM_FILE", volumes::custom_file(cx));
}

fn selectors(cx: &Context<'_>, env: &mut Env) {
    env.text("KXI_SG_RC_LABEL_SELECTOR", &coordinator_selector(cx.name, cx.spec));
    env.text("KXI_SG_DA_LABEL_SELECTOR", &data_access_selector(cx.name, cx.spec));
}

struct Env(Vec<EnvVar>);

impl Env {
    fn text(&mut self, name: &str, value: &str) {
        self.0.push(EnvVar { name: name.into(), value: Some(value.into()), value_from: None });
    }

    fn some(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.text(name, &value.to_string());
        }
    }

    fn field(&mut self, name: &str, path: &str) {
        let field = ObjectFieldSelector { field_path: path.into(), api_version: Some("v1".into()) };
        let source = EnvVarSource { field_ref: Some(field), ..Default::default() };
        self.0.push(EnvVar { name: name.into(), value_from: Some(source), value: None });
    }
}
