{{- define "qmesh.name" -}}
{{- printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "qmesh.selector" -}}
app.kubernetes.io/name: qmesh-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "qmesh.labels" -}}
{{ include "qmesh.selector" . }}
app.kubernetes.io/part-of: qmesh
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "qmesh.image" -}}
{{- $prefix := .Values.image.repository | trimSuffix "/" -}}
{{- if $prefix -}}{{ $prefix }}/{{- end -}}
qmesh-operator
{{- if .Values.image.digest -}}@{{ .Values.image.digest }}{{- else -}}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}
