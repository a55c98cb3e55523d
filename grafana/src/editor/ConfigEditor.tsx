import type { DataSourcePluginOptionsEditorProps } from "@grafana/data";
import { Field, FieldSet, Input, RadioButtonGroup, SecretInput, SecretTextArea, Switch } from "@grafana/ui";
import type { Auth, BraidOptions, BraidSecrets } from "../types";

type Props = DataSourcePluginOptionsEditorProps<BraidOptions, BraidSecrets>;

const methods: Array<{ label: string; value: Auth; description: string }> = [
  { label: "None", value: "none", description: "Braid, or what stands before it, asks nobody" },
  { label: "Basic", value: "basic", description: "A user and a password" },
  { label: "Bearer token", value: "bearer", description: "A token in the Authorization header" },
  { label: "Forward identity", value: "oauth", description: "The OAuth token of the user who asks" },
];
const wide = 60;

/** The settings of the data source. Secrets are written to secureJsonData only. */
export function ConfigEditor({ options, onOptionsChange }: Props) {
  const { jsonData, secureJsonFields = {}, secureJsonData = {} } = options;
  const json = (change: Partial<BraidOptions>) => onOptionsChange({ ...options, jsonData: { ...jsonData, ...change } });
  const secret = (key: keyof BraidSecrets) => ({
    isConfigured: !!secureJsonFields[key],
    value: secureJsonData[key] ?? "",
    onChange: (e: { currentTarget: { value: string } }) =>
      onOptionsChange({ ...options, secureJsonData: { ...secureJsonData, [key]: e.currentTarget.value } }),
    onReset: () =>
      onOptionsChange({
        ...options,
        secureJsonFields: { ...secureJsonFields, [key]: false },
        secureJsonData: { ...secureJsonData, [key]: "" },
      }),
  });
  const auth = authOf(
    options.basicAuth,
    jsonData,
    !!secureJsonFields.bearerToken || secureJsonData.bearerToken !== undefined,
  );
  const setAuth = (method: Auth) => {
    // A token that is not used is taken back, so that what the page shows is what is sent.
    const bearer = method === "bearer";
    onOptionsChange({
      ...options,
      basicAuth: method === "basic",
      jsonData: { ...jsonData, oauthPassThru: method === "oauth" },
      secureJsonFields: { ...secureJsonFields, ...(bearer ? {} : { bearerToken: false }) },
      secureJsonData: bearer
        ? { ...secureJsonData, bearerToken: secureJsonData.bearerToken ?? "" }
        : without(secureJsonData, secureJsonFields.bearerToken),
    });
  };
  const urlError =
    options.url && !/^https?:\/\/[^/\s]+/.test(options.url)
      ? "It begins with http:// or https:// and a host"
      : undefined;
  return (
    <>
      <FieldSet label="Connection">
        <Field
          label="URL"
          description="Braid's HTTP port as Grafana's server reaches it"
          required
          invalid={!!urlError}
          error={urlError}
          htmlFor="braid-url"
        >
          <Input
            id="braid-url"
            width={wide}
            value={options.url}
            placeholder="http://localhost:4320"
            onChange={(e) => onOptionsChange({ ...options, url: e.currentTarget.value.trim() })}
          />
        </Field>
        <Field label="Tenant" description="Sent as X-Scope-OrgID; empty: the tenant “default”" htmlFor="braid-tenant">
          <Input
            id="braid-tenant"
            width={wide}
            value={jsonData.tenant ?? ""}
            placeholder="default"
            onChange={(e) => json({ tenant: e.currentTarget.value.trim() || undefined })}
          />
        </Field>
        <Field label="Timeout" description="Seconds that one question may take" htmlFor="braid-timeout">
          <Input
            id="braid-timeout"
            type="number"
            min={1}
            width={20}
            value={jsonData.timeout ?? ""}
            placeholder="30"
            onChange={(e) => json({ timeout: Number.parseInt(e.currentTarget.value, 10) || undefined })}
          />
        </Field>
      </FieldSet>
      <FieldSet label="Authentication">
        <Field label="Method" description={methods.find((m) => m.value === auth)?.description}>
          <RadioButtonGroup options={methods} value={auth} onChange={setAuth} />
        </Field>
        {auth === "basic" && (
          <>
            <Field label="User" htmlFor="braid-user">
              <Input
                id="braid-user"
                width={wide}
                value={options.basicAuthUser ?? ""}
                onChange={(e) => onOptionsChange({ ...options, basicAuthUser: e.currentTarget.value })}
              />
            </Field>
            <Field label="Password" htmlFor="braid-password">
              <SecretInput id="braid-password" width={wide} {...secret("basicAuthPassword")} />
            </Field>
          </>
        )}
        {auth === "bearer" && (
          <Field label="Token" htmlFor="braid-token">
            <SecretInput id="braid-token" width={wide} {...secret("bearerToken")} />
          </Field>
        )}
      </FieldSet>
      <FieldSet label="TLS">
        <Field
          label="Own certificate authority"
          description="Trust this authority beside those of the system"
          htmlFor="braid-with-ca"
        >
          <Switch
            id="braid-with-ca"
            value={!!jsonData.tlsAuthWithCACert}
            onChange={(e) => json({ tlsAuthWithCACert: e.currentTarget.checked })}
          />
        </Field>
        {jsonData.tlsAuthWithCACert && (
          <Field label="CA certificate" htmlFor="braid-ca">
            <SecretTextArea
              id="braid-ca"
              cols={80}
              rows={5}
              placeholder="-----BEGIN CERTIFICATE-----"
              {...secret("tlsCACert")}
            />
          </Field>
        )}
        <Field label="Client certificate" description="Present a certificate of one's own" htmlFor="braid-with-client">
          <Switch
            id="braid-with-client"
            value={!!jsonData.tlsAuth}
            onChange={(e) => json({ tlsAuth: e.currentTarget.checked })}
          />
        </Field>
        {jsonData.tlsAuth && (
          <>
            <Field label="Server name" description="The name in Braid's certificate" htmlFor="braid-server-name">
              <Input
                id="braid-server-name"
                width={wide}
                value={jsonData.serverName ?? ""}
                onChange={(e) => json({ serverName: e.currentTarget.value })}
              />
            </Field>
            <Field label="Certificate" htmlFor="braid-cert">
              <SecretTextArea
                id="braid-cert"
                cols={80}
                rows={5}
                placeholder="-----BEGIN CERTIFICATE-----"
                {...secret("tlsClientCert")}
              />
            </Field>
            <Field label="Key" htmlFor="braid-key">
              <SecretTextArea
                id="braid-key"
                cols={80}
                rows={5}
                placeholder="-----BEGIN PRIVATE KEY-----"
                {...secret("tlsClientKey")}
              />
            </Field>
          </>
        )}
        <Field label="Skip verification" description="Believe any certificate: for trying only" htmlFor="braid-skip">
          <Switch
            id="braid-skip"
            value={!!jsonData.tlsSkipVerify}
            onChange={(e) => json({ tlsSkipVerify: e.currentTarget.checked })}
          />
        </Field>
      </FieldSet>
    </>
  );
}

/** The method that the settings amount to. */
export function authOf(basicAuth: boolean, jsonData: BraidOptions, token: boolean): Auth {
  if (jsonData.oauthPassThru) {
    return "oauth";
  }
  if (basicAuth) {
    return "basic";
  }
  return token ? "bearer" : "none";
}

// An empty string takes a stored token back; nothing is said where none was.
function without(secrets: BraidSecrets, stored: boolean | undefined): BraidSecrets {
  const { bearerToken: _, ...rest } = secrets;
  return stored ? { ...rest, bearerToken: "" } : rest;
}
