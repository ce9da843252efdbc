// Holds the entities of the catalog-info.yaml files that are named as arguments against Backstage's own rules.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  apiEntityV1alpha1Validator,
  componentEntityV1alpha1Validator,
  EntityPolicies,
  FieldFormatEntityPolicy,
  NoForeignRootFieldsEntityPolicy,
  resourceEntityV1alpha1Validator,
  SchemaValidEntityPolicy,
} from "@backstage/catalog-model";
import { parseAllDocuments } from "yaml";

const policies = EntityPolicies.allOf([
  new SchemaValidEntityPolicy(),
  new NoForeignRootFieldsEntityPolicy(),
  new FieldFormatEntityPolicy(),
]);
const kinds = {
  API: apiEntityV1alpha1Validator,
  Component: componentEntityV1alpha1Validator,
  Resource: resourceEntityV1alpha1Validator,
};

let found = 0;
for (const path of process.argv.slice(2)) {
  for (const document of parseAllDocuments(await readFile(path, "utf8"))) {
    const entity = document.toJS();
    try {
      if (entity.spec?.definition?.$text) {
        // Backstage puts the file's text in its place before it looks at the entity.
        entity.spec.definition = await readFile(join(dirname(path), entity.spec.definition.$text), "utf8");
      }
      await policies.enforce(entity);
      if (!(await kinds[entity.kind].check(entity))) {
        throw new Error(`the kind ${entity.kind} does not take it`);
      }
    } catch (error) {
      console.log(`${path}: ${entity?.kind} ${entity?.metadata?.name}: ${error.message}`);
      found += 1;
    }
  }
}
process.exit(found ? 1 : 0);
