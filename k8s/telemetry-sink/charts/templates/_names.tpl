{{/* Names, labels and the few values that more than one template needs. */}}

{{- define "telemetry-sink.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: Kubernetes appends a hash of 10 to a StatefulSet's name in a label of at most 63. */}}
{{- define "telemetry-sink.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "telemetry-sink.headlessName" -}}
{{- printf "%s-headless" (include "telemetry-sink.fullname" .) -}}
{{- end -}}

{{- define "telemetry-sink.configMapName" -}}
{{- default (printf "%s-env" (include "telemetry-sink.fullname" .)) .Values.existingConfigMap -}}
{{- end -}}

{{- define "telemetry-sink.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "telemetry-sink.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Never changes during the life of a release: selectors of a StatefulSet cannot. */}}
{{- define "telemetry-sink.selectorLabels" -}}
app: telemetry-sink
app.kubernetes.io/name: {{ include "telemetry-sink.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "telemetry-sink.labels" -}}
{{ include "telemetry-sink.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: telemetry-sink
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "telemetry-sink.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s:%s@%s" .Values.image.repository $tag .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* "host:port" of a listener; takes a dict of host and port. */}}
{{- define "telemetry-sink.socket" -}}
{{- if contains ":" .host -}}
{{- printf "[%s]:%d" .host (int .port) -}}
{{- else -}}
{{- printf "%s:%d" .host (int .port) -}}
{{- end -}}
{{- end -}}

{{/* An option as the daemon reads it. Helm keeps numbers as floats, which would print as 4.194304e+06. */}}
{{- define "telemetry-sink.optionText" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Environment that follows from values of the chart: the ports of the Services and probes, the mount, the grace period. */}}
{{- define "telemetry-sink.wiredEnv" -}}
GRPC_SERVER_SOCKET: {{ include "telemetry-sink.socket" (dict "host" .Values.listenHost "port" .Values.ports.grpc) | quote }}
ADMIN_SOCKET: {{ include "telemetry-sink.socket" (dict "host" .Values.listenHost "port" .Values.ports.admin) | quote }}
ALLOW_PLAINTEXT: {{ .Values.allowPlaintext | quote }}
{{- if .Values.tls.existingSecret }}
TLS_CERT: /etc/telemetry-sink/tls/tls.crt
TLS_KEY: /etc/telemetry-sink/tls/tls.key
{{- if .Values.tls.clientCertificates }}
TLS_CLIENT_CA: /etc/telemetry-sink/tls/ca.crt
{{- end }}
{{- end }}
{{- if .Values.tokens.existingSecret }}
TOKENS_FILE: /etc/telemetry-sink/tokens/tokens
{{- end }}
{{- if .Values.adminToken.existingSecret }}
ADMIN_TOKEN_FILE: /etc/telemetry-sink/admin-token/tokens
{{- else }}
ALLOW_OPEN_ADMIN: "true"
{{- end }}
FILE_PATH: /app/data
DRAIN_DELAY: {{ printf "%ds" (int .Values.drain.delaySeconds) | quote }}
DRAIN_TIMEOUT: {{ printf "%ds" (int .Values.drain.timeoutSeconds) | quote }}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "telemetry-sink.checkValues" -}}
{{- $instead := dict "GRPC_SERVER_SOCKET" "listenHost and ports.grpc" "ADMIN_SOCKET" "listenHost and ports.admin" "ALLOW_PLAINTEXT" "allowPlaintext" "TLS_CERT" "tls.existingSecret" "TLS_KEY" "tls.existingSecret" "TLS_CLIENT_CA" "tls.clientCertificates" "TOKENS_FILE" "tokens.existingSecret" "ADMIN_TOKEN_FILE" "adminToken.existingSecret" "ALLOW_OPEN_ADMIN" "adminToken.existingSecret" "FILE_PATH" "persistence (it is mounted at /app/data)" "DRAIN_DELAY" "drain.delaySeconds" "DRAIN_TIMEOUT" "drain.timeoutSeconds" -}}
{{- range $name, $_ := .Values.config -}}
{{- if hasKey $instead $name -}}
{{- fail (printf "config.%s: set %s instead, other parts of the chart follow from it" $name (get $instead $name)) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $instead .name -}}
{{- fail (printf "extraEnv: %s: set %s instead, other parts of the chart follow from it" .name (get $instead .name)) -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.allowPlaintext .Values.tls.existingSecret) -}}
{{- fail "allowPlaintext: false without tls.existingSecret: the daemon would refuse to listen beyond loopback, where Services and probes need it" -}}
{{- end -}}
{{- if and .Values.tls.clientCertificates (not .Values.tls.existingSecret) -}}
{{- fail "tls.clientCertificates: set tls.existingSecret too" -}}
{{- end -}}
{{- if eq (int .Values.ports.grpc) (int .Values.ports.admin) -}}
{{- fail (printf "ports.grpc and ports.admin are both %d" (int .Values.ports.grpc)) -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (eq (kindIs "invalid" .Values.podDisruptionBudget.minAvailable) (kindIs "invalid" .Values.podDisruptionBudget.maxUnavailable)) -}}
{{- fail "podDisruptionBudget: set one of minAvailable and maxUnavailable, and the other to null" -}}
{{- end -}}
{{- end -}}
