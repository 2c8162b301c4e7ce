{{/* The lab takes the id of the extension from the name, and its proxy leads only to names of this form. */}}
{{- define "manager.name" -}}
{{ .Values.lab.namespace }}-p-ctxy-global-s-workspace-manager
{{- end }}

{{- define "manager.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What makes it an extension of the lab: its backend lists what has these three as labels. */}}
{{- define "manager.identity" -}}
ctxy.namespace: {{ .Values.lab.namespace | quote }}
ctxy.projectName: ctxy-global
ctxy.deploymentType: extension
{{- end }}

{{/* Fails where the lab could not read the memory that is requested; see values.yaml. */}}
{{- define "manager.checkMemory" -}}
{{- $memory := toString .Values.resources.requests.memory -}}
{{- $number := regexFind "^[0-9]+" $memory | int -}}
{{- $unit := regexReplaceAll "^[0-9]+" $memory "" -}}
{{- $next := get (dict "Ki" 1024 "Mi" 1024 "k" 1000 "M" 1000) $unit -}}
{{- if or (not $next) (lt $number 4) -}}
{{- fail (printf "resources.requests.memory is %q, which ML Lab could not read; it must be a whole number of at least 4, and Mi or M: 64Mi" $memory) -}}
{{- end -}}
{{- if eq (mod $number (int $next)) 0 -}}
{{- fail (printf "resources.requests.memory is %q, which Kubernetes writes in its next larger unit, and ML Lab could not read; take one more or less" $memory) -}}
{{- end -}}
{{- end }}
