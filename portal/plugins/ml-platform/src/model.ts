import { Entity, parseEntityRef } from '@backstage/catalog-model';

/** Annotation that names a component's model, where it is not called as the component is. */
export const MODEL_ANNOTATION = 'ml-platform/model';

const TYPES = ['model-server', 'batch-model', 'stream-model', 'ai-model'];

/** Tells whether an entity stands for a model. */
export function isModel(entity: Entity): boolean {
  return (
    MODEL_ANNOTATION in (entity.metadata.annotations ?? {}) ||
    TYPES.includes(String(entity.spec?.type))
  );
}

/** Returns the name of the entity's model. */
export function modelOf(entity: Entity): string {
  return (
    entity.metadata.annotations?.[MODEL_ANNOTATION] ?? entity.metadata.name
  );
}

/** Returns an entity ref as people say it: without kind and default namespace. */
export function shortRef(ref: string): string {
  try {
    const { namespace, name } = parseEntityRef(ref, { defaultKind: 'group' });
    return namespace === 'default' ? name : `${namespace}/${name}`;
  } catch {
    return ref;
  }
}

/** Returns where the catalog shows an entity. */
export function entityPath(ref: string, defaultKind = 'component'): string {
  const { kind, namespace, name } = parseEntityRef(ref, {
    defaultKind,
    defaultNamespace: 'default',
  });
  return `/catalog/${namespace.toLowerCase()}/${kind.toLowerCase()}/${name}`;
}

/** Annotation with the place of the entity's repository on a git host: `<host>/<org>/<name>`. */
export const REPOSITORY_ANNOTATION = 'ml-platform/repository';

/** Returns where the entity's repository is, as far as the platform knows. */
export function placeOf(
  entity: Entity,
): { host: string; org: string; name: string } | null {
  const parts =
    entity.metadata.annotations?.[REPOSITORY_ANNOTATION]?.split('/') ?? [];
  if (parts.length < 3) {
    return null;
  }
  const [host, ...rest] = parts;
  return {
    host,
    org: rest.slice(0, -1).join('/'),
    name: rest[rest.length - 1],
  };
}
