import { describe, expect, it } from '@jest/globals';
import { AppRegistry } from '#lib/configs/registry.js';
import { DuplicateAppError, UnknownAppError } from '#lib/errors/app.error.js';

describe('AppRegistry', () => {
  it('gives back what was registered under a name, without a name the default app', () => {
    const registry = new AppRegistry<string>();
    registry.register('default', 'a');
    registry.register('billing', 'b');
    expect([registry.get(), registry.get('default'), registry.get('billing')]).toEqual(['a', 'a', 'b']);
    expect(registry.names()).toEqual(['default', 'billing']);
    expect([registry.has('billing'), registry.has('other')]).toEqual([true, false]);
  });

  it('refuses a second app of one name, and keeps the first', () => {
    const registry = new AppRegistry<string>();
    registry.register('billing', 'a');
    expect(() => registry.register('billing', 'b')).toThrow(DuplicateAppError);
    expect(() => registry.register('billing', 'b')).toThrow('"billing"');
    expect(registry.get('billing')).toBe('a');
  });

  it('names the apps that there are where one is asked for that there is not', () => {
    const registry = new AppRegistry<string>();
    expect(() => registry.get()).toThrow(UnknownAppError);
    expect(() => registry.get('x')).toThrow('none is registered');
    registry.register('billing', 'a');
    expect(() => registry.get('biling')).toThrow(/"biling".*registered: "billing"/);
  });

  it('knows nothing of another registry', () => {
    new AppRegistry<string>().register('billing', 'a');
    expect(new AppRegistry<string>().names()).toEqual([]);
  });
});
