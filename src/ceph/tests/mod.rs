mod faults;
mod points;
mod rounds;
mod scripts;
