//! What Redis shows of the stock is kept to what MySQL says: drift made by hand is found, told and put right, a Redis that
//! was emptied in the middle of a rush is filled again, and a shop that has lost nothing is left alone.

mod buyers;
mod command;
mod drift;
mod emptied;
mod hung;
mod rush;
mod size;
