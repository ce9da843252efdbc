import { useEntity } from '@backstage/plugin-catalog-react';

import { modelOf } from '../model';

/** Returns the name of the model whose page this is. */
export function useModelName(): string {
  return modelOf(useEntity().entity);
}
