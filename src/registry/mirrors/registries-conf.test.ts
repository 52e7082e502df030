import { expect, it } from "vitest";
import { parseRegistriesConf } from "./registries-conf.ts";

it("is empty where nothing in the file is read here, though it is not parsed then", async () => {
  for (const text of [
    "",
    "# [[registry]]\n#   location = 'r.io'\n",
    '[aliases]\n  "registry" = "docker.io/library/registry"\n',
    'unqualified-search-registries = ["docker.io"]\n',
  ]) {
    expect(await parseRegistriesConf(text, "/x")).toEqual({ rules: [], credentialHelpers: [] });
  }
});

it("finds what is read here in whatever form TOML has for it", async () => {
  for (const text of [
    '[[registry]]\nlocation = "r.io"',
    '\n\t[[ "registry" ]]\nlocation = "r.io"',
    'registry = [{ location = "r.io" }]',
    '"registry" = [\n{ location = "r.io" }]',
  ]) {
    expect((await parseRegistriesConf(text, "/x")).rules).toMatchObject([{ prefix: "r.io" }]);
  }
  const { credentialHelpers } = await parseRegistriesConf("'credential-helpers' = ['a']", "/x");
  expect(credentialHelpers).toEqual(["a"]);
  await expect(parseRegistriesConf("registries.search.registries = ['r.io']", "/x")).rejects.toThrow("version 1");
});
