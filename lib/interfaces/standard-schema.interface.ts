import type { ChangeOf, Operation } from './change.interface.js';

/**
 * What a schema of any library that follows the Standard Schema specification, version 1 (https://standardschema.dev),
 * shows of itself: zod, valibot, arktype and others. Types only: none of them is needed here.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': StandardSchemaProps<Input, Output>;
}

export interface StandardSchemaProps<Input = unknown, Output = Input> {
  readonly version: 1;
  readonly vendor: string;
  readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
  /** Never there at run time. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** Without issues it is a success, whatever its value. */
export type StandardSchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardSchemaIssue[] };

export interface StandardSchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * A change whose row has been through a schema; without one, the change. `oldRecord` and the names of columns stay those
 * of the table, as far as its row type is known.
 */
export type ValidatedChange<Row, O extends Operation, Schema> = [Schema] extends [StandardSchemaV1<any, infer Output>]
  ? Validated<Row, O, Output>
  : ChangeOf<Row, O>;

/** Distributes over the operations. */
type Validated<Row, O extends Operation, Output> = O extends 'delete' | 'truncate'
  ? ChangeOf<Row, O>
  : 0 extends 1 & Row // any
    ? ChangeOf<Output, O>
    : Omit<ChangeOf<Row, O>, 'record'> & { readonly record: Readonly<Output> };
