export { typeorm, type TypeormContext, type TypeormOptions } from './typeorm.adapter.js';
