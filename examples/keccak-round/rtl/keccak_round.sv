// One round: Rnd(A, i) = iota(chi(pi(rho(theta(A)))), i), FIPS 202 section 3.3.
module keccak_round
  import keccak_pkg::*;
(
    input  keccak_t a,
    input  round_t  index,
    output keccak_t r
);

  keccak_t mixed, moved, bent;

  theta u_theta (.a(a), .r(mixed));
  rho_pi u_rho_pi (.a(mixed), .r(moved));
  chi u_chi (.a(moved), .r(bent));
  iota u_iota (.a(bent), .index(index), .r(r));

endmodule
