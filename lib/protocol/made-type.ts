/** A type that a user made, with the type that it is made of: elements of an array, bounds of a range. */
export type MadeType =
  { readonly kind: 'enum' } | { readonly kind: 'array' | 'range' | 'multirange'; readonly of: number };
