/** A row of `orders`, as node-postgres reads it: numeric is text, so that no digit is lost. */
export interface Order {
  id: number;
  customer: string;
  item: string;
  quantity: number;
  amount: string;
  status: string;
  updated_at: Date;
}
