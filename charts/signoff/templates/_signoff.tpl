{{/* Labels on everything that the chart makes. */}}
{{- define "signoff.labels" -}}
app.kubernetes.io/name: signoff
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What selects a process's Pods. Takes (context, component). */}}
{{- define "signoff.selector" -}}
app.kubernetes.io/name: signoff
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The processes that have a ServiceAccount, separated by spaces. */}}
{{- define "signoff.processes" -}}
operator webhook{{ if .Values.engine.enabled }} engine{{ end }}{{ if .Values.portal.enabled }} portal{{ end }}
{{- end }}

{{- define "signoff.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{/* Settings that each Pod of signoff has. */}}
{{- define "signoff.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "signoff.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Where Pods may be put. Takes the process's values. */}}
{{- define "signoff.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* How the API server reaches the webhook. Takes (context, "door" or "gate", path). */}}
{{- define "signoff.clientConfig" -}}
{{- $context := index . 0 }}{{- $port := index . 1 }}{{- $path := index . 2 }}
{{- with $context.Values.webhook }}
{{- if .outside.enabled }}
{{- $origin := get .outside (printf "%sUrl" $port) }}
url: {{ required (printf "webhook.outside.%sUrl: set it to https://HOST:PORT, where the webhook's %s listens" $port $port) $origin }}{{ $path }}
caBundle: {{ required "webhook.outside.caBundle: set it to the CA of the webhook's certificate, PEM in base64" .outside.caBundle }}
{{- else }}
service:
  name: signoff-webhook
  namespace: {{ $context.Release.Namespace }}
  path: {{ $path }}
  port: {{ get .service (printf "%sPort" $port) }}
{{- with .tls.caBundle }}
caBundle: {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A CEL expression: the request comes from one of these groups or users. Takes {groups, users}. JSON lists of
     strings are CEL lists of strings. */}}
{{- define "signoff.isOneOf" -}}
(has(request.userInfo.groups) && request.userInfo.groups.exists(group, group in {{ .groups | default list | toJson }})) || request.userInfo.username in {{ .users | default list | toJson }}
{{- end }}

{{/* A CEL string literal with the names of such people, for messages. Takes {groups, users}. */}}
{{- define "signoff.names" -}}
{{- $names := list }}
{{- range .groups }}{{ $names = append $names (printf "group %s" .) }}{{ end }}
{{- range .users }}{{ $names = append $names . }}{{ end }}
{{- join ", " $names | default "nobody" | toJson -}}
{{- end }}

{{/* The kinds that the gate reads, as rules of a role. Takes the verbs. */}}
{{- define "signoff.workloads" -}}
- apiGroups: [""]
  resources: [pods, podtemplates, replicationcontrollers]
  verbs: {{ . | toJson }}
- apiGroups: [apps]
  resources: [replicasets, deployments, statefulsets, daemonsets]
  verbs: {{ . | toJson }}
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: {{ . | toJson }}
{{- end }}

{{/* Who may scrape a process's metrics, as a rule of a NetworkPolicy. */}}
{{- define "signoff.scrapers" -}}
- ports:
    - port: metrics
  {{- with .Values.networkPolicy.metricsNamespaces }}
  from:
    - namespaceSelector:
        matchExpressions:
          - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
  {{- end }}
{{- end }}
